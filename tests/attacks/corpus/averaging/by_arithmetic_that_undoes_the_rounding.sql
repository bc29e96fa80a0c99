-- attack: Arithmetic that undoes the rounding of a mean
-- reference: Adam & Wortmann, Security-control methods for statistical databases, ACM Computing Surveys 21(4), 1989
-- source: https://doi.org/10.1145/76894.76895
-- wants: the mean of a group to more digits than are released
-- succeeds: shows 307.692308
-- stopped-by: answered
-- protection: values are rounded before anything is computed with them
SELECT (AVG(fare) - 944.942) * 1000000 AS y FROM fleet.jobs
