-- attack: DESCRIBE shows columns that nobody declared
-- reference: CWE-209, error message containing sensitive information
-- source: https://cwe.mitre.org/data/definitions/209.html
-- wants: the names of the columns
-- succeeds: shows driver
-- stopped-by: only-select
DESCRIBE fleet.jobs
