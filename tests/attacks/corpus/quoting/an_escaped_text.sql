-- attack: A text whose escapes spell the key
-- reference: CWE-89, SQL injection
-- source: https://cwe.mitre.org/data/definitions/89.html
-- wants: the fare of v07, which is only in the fleet's books
-- succeeds: shows 7331.25
-- stopped-by: not-understood
SELECT AVG(fare) AS y FROM fleet.jobs WHERE vehicle = E'\x76\x30\x37'
