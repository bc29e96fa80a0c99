-- attack: Columns by a pattern over their names
-- reference: CWE-89, SQL injection
-- source: https://cwe.mitre.org/data/definitions/89.html
-- wants: the hidden driver of v07
-- succeeds: shows driver-07
-- stopped-by: star
SELECT COLUMNS('dr.*') FROM fleet.jobs
