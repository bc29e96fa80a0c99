-- attack: More rows than anybody reads
-- reference: CWE-400, uncontrolled resource consumption
-- source: https://cwe.mitre.org/data/definitions/400.html
-- wants: every pair of the fleet's records
-- succeeds: returns more than 10000 rows
-- stopped-by: join-key
SELECT a.fare, b.fare, c.zone FROM fleet.jobs a JOIN fleet.jobs b ON a.hour <> b.hour JOIN fleet.jobs c ON c.hour <> b.hour
