-- attack: A quote in an alias, which a careless generator would end a name at
-- reference: CWE-89, SQL injection
-- source: https://cwe.mitre.org/data/definitions/89.html
-- wants: the hidden driver of v07
-- succeeds: shows driver-07
-- stopped-by: one-statement
SELECT COUNT(*) AS "x"" FROM fleet.jobs; --" FROM fleet.jobs; SELECT driver FROM fleet.jobs
