-- attack: Another statement after a semicolon
-- reference: CWE-89, SQL injection
-- source: https://cwe.mitre.org/data/definitions/89.html
-- wants: the fare of v07, which is only in the fleet's books
-- succeeds: shows 7331.25
-- stopped-by: one-statement
SELECT COUNT(*) FROM fleet.jobs; SELECT fare FROM fleet.jobs WHERE vehicle = 'v07'
