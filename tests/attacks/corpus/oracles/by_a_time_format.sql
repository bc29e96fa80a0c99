-- attack: A time that does not parse
-- reference: CWE-209, error message containing sensitive information
-- source: https://cwe.mitre.org/data/definitions/209.html
-- wants: the code of v07
-- succeeds: error shows secret-code
-- stopped-by: function-not-listed
SELECT COUNT(strptime(code, '%Y')) AS n FROM fleet.jobs
