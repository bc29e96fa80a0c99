-- attack: A sum over the victim's fare and known numbers of one's own
-- reference: Machanavajjhala et al., l-diversity: privacy beyond k-anonymity, ACM TKDD 1(1), 2007
-- source: https://doi.org/10.1145/1217299.1217302
-- wants: the fare of v07, which is only in the fleet's books
-- succeeds: adds up +1 = 7355.25
-- stopped-by: set-operation
SELECT SUM(f) AS s FROM (SELECT DISTINCT fare AS f FROM fleet.jobs WHERE kind = 'night' UNION ALL SELECT 1 AS f FROM asker.notes) AS d
