-- attack: One's records five times over by a union make a group of thirty
-- reference: Machanavajjhala et al., l-diversity: privacy beyond k-anonymity, ACM TKDD 1(1), 2007
-- source: https://doi.org/10.1145/1217299.1217302
-- wants: the fare of v07, which is only in the fleet's books
-- succeeds: shows 7331.25
-- stopped-by: set-operation
SELECT AVG(fare) AS y, COUNT(*) AS n FROM (SELECT fare FROM fleet.jobs WHERE kind = 'night' UNION ALL SELECT fare FROM fleet.jobs WHERE kind = 'night' UNION ALL SELECT fare FROM fleet.jobs WHERE hour = 23) AS d
