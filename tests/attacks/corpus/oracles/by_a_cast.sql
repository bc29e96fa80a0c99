-- attack: A cast whose error quotes the value
-- reference: CWE-209, error message containing sensitive information
-- source: https://cwe.mitre.org/data/definitions/209.html
-- wants: the code of v07
-- succeeds: error shows secret-code
-- stopped-by: cast
SELECT SUM(CAST(code AS INTEGER)) AS n FROM fleet.jobs
