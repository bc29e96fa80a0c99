-- attack: A mean over a column in which only the victim has a value
-- reference: Machanavajjhala et al., l-diversity: privacy beyond k-anonymity, ACM TKDD 1(1), 2007
-- source: https://doi.org/10.1145/1217299.1217302
-- wants: the tip of v07
-- succeeds: shows 41.5
-- stopped-by: group-too-small
SELECT AVG(tip) AS y FROM fleet.jobs
