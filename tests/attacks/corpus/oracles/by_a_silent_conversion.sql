-- attack: A comparison of text with a number, which converts
-- reference: CWE-209, error message containing sensitive information
-- source: https://cwe.mitre.org/data/definitions/209.html
-- wants: the code of v07
-- succeeds: error shows secret-code
-- stopped-by: filter-form
SELECT COUNT(*) AS n FROM fleet.jobs WHERE code = 1
