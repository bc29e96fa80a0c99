-- attack: HAVING picks the small groups
-- reference: Machanavajjhala et al., l-diversity: privacy beyond k-anonymity, ACM TKDD 1(1), 2007
-- source: https://doi.org/10.1145/1217299.1217302
-- wants: the fare of v07, which is only in the fleet's books
-- succeeds: shows 7331.25
-- stopped-by: answered
-- protection: HAVING sees groups that have passed the gate only
SELECT zone, AVG(fare) AS y FROM fleet.jobs GROUP BY zone HAVING COUNT(DISTINCT vehicle) < 5
