-- attack: Six records of one vehicle are a group of six
-- reference: Machanavajjhala et al., l-diversity: privacy beyond k-anonymity, ACM TKDD 1(1), 2007
-- source: https://doi.org/10.1145/1217299.1217302
-- wants: the fare of v07, which is only in the fleet's books
-- succeeds: shows 7331.25
-- stopped-by: group-too-small
SELECT zone, AVG(fare) AS y, COUNT(*) AS n FROM fleet.jobs WHERE zone = 'airport' GROUP BY zone
