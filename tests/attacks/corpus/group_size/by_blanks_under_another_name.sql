-- attack: Blanks in a renamed column
-- reference: Machanavajjhala et al., l-diversity: privacy beyond k-anonymity, ACM TKDD 1(1), 2007
-- source: https://doi.org/10.1145/1217299.1217302
-- wants: the tip of v07
-- succeeds: shows 249
-- stopped-by: group-too-small
WITH d AS (SELECT tip AS x FROM fleet.jobs) SELECT SUM(x) AS y FROM d
