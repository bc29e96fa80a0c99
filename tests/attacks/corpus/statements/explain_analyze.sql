-- attack: EXPLAIN ANALYZE counts the rows of each step
-- reference: CWE-209, error message containing sensitive information
-- source: https://cwe.mitre.org/data/definitions/209.html
-- wants: how many jobs v07 had
-- succeeds: differs without v07
-- stopped-by: only-select
EXPLAIN ANALYZE SELECT COUNT(*) FROM fleet.jobs WHERE vehicle = 'v07'
