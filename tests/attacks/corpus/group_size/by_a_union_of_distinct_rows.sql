-- attack: A union that drops what it has already, so that six records are one
-- reference: Machanavajjhala et al., l-diversity: privacy beyond k-anonymity, ACM TKDD 1(1), 2007
-- source: https://doi.org/10.1145/1217299.1217302
-- wants: the fare of v07, which is only in the fleet's books
-- succeeds: shows 7331.25
-- stopped-by: set-operation
SELECT SUM(fare) AS s FROM (SELECT fare FROM fleet.jobs WHERE kind = 'night' UNION SELECT fare FROM fleet.jobs WHERE hour = 23) AS d
