-- attack: error() with the value in it
-- reference: CWE-209, error message containing sensitive information
-- source: https://cwe.mitre.org/data/definitions/209.html
-- wants: the code of v07
-- succeeds: error shows secret-code
-- stopped-by: function-not-listed
SELECT COUNT(error('leak: ' || code)) AS n FROM fleet.jobs WHERE kind = 'night'
