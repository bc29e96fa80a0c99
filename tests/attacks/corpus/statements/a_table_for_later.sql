-- attack: A copy that is asked later
-- reference: CWE-89, SQL injection
-- source: https://cwe.mitre.org/data/definitions/89.html
-- wants: the hidden driver of v07
-- succeeds: shows driver-07
-- stopped-by: only-select, no-agreement
CREATE TABLE copied AS FROM fleet.jobs
-- then
SELECT driver FROM copied
