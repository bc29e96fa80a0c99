-- attack: What else there is
-- reference: CWE-209, error message containing sensitive information
-- source: https://cwe.mitre.org/data/definitions/209.html
-- wants: the names of all tables
-- succeeds: shows jobs
-- stopped-by: only-select
SHOW ALL TABLES
