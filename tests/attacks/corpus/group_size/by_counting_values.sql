-- attack: How many values are there in a column that is blank for all others
-- reference: Machanavajjhala et al., l-diversity: privacy beyond k-anonymity, ACM TKDD 1(1), 2007
-- source: https://doi.org/10.1145/1217299.1217302
-- wants: how many tips v07 had
-- succeeds: shows 6
-- stopped-by: group-too-small
SELECT COUNT(tip) AS n FROM fleet.jobs
