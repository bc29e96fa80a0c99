-- attack: The same with commas
-- reference: CWE-400, uncontrolled resource consumption
-- source: https://cwe.mitre.org/data/definitions/400.html
-- wants: the room's time
-- succeeds: exhausts
-- stopped-by: join-kind
SELECT SUM(a.fare * b.fare + c.fare * d.fare + e.fare) FROM fleet.jobs a, fleet.jobs b, fleet.jobs c, fleet.jobs d, fleet.jobs e, fleet.jobs f
