-- attack: A file through the function that looks at its form
-- reference: CVE-2024-41672, DuckDB reads files in spite of enable_external_access = false
-- source: https://nvd.nist.gov/vuln/detail/CVE-2024-41672
-- wants: a password on the room's machine
-- succeeds: shows password
-- stopped-by: table-function
SELECT Columns FROM sniff_csv('{folder}/secret.csv')
