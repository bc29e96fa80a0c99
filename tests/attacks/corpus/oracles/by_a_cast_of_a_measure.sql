-- attack: A cast of a measure to a type that is too small
-- reference: CWE-209, error message containing sensitive information
-- source: https://cwe.mitre.org/data/definitions/209.html
-- wants: the fare of v07, which is only in the fleet's books
-- succeeds: error shows 7331.25
-- stopped-by: cast
SELECT SUM(CAST(fare AS TINYINT)) AS n FROM fleet.jobs
