-- attack: A column by its place
-- reference: CWE-89, SQL injection
-- source: https://cwe.mitre.org/data/definitions/89.html
-- wants: the hidden driver of v07
-- succeeds: shows driver-07
-- stopped-by: not-understood
SELECT #8, COUNT(*) FROM fleet.jobs GROUP BY 1
