-- attack: A join by the place of rows
-- reference: CWE-89, SQL injection
-- source: https://cwe.mitre.org/data/definitions/89.html
-- wants: the fare of v07, which is only in the fleet's books
-- succeeds: shows 7331.25
-- stopped-by: join-kind
SELECT n.code, SUM(j.fare) / 6 FROM fleet.jobs j POSITIONAL JOIN (SELECT code FROM fleet.jobs) AS n GROUP BY n.code
