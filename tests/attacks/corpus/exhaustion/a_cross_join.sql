-- attack: A product of many copies
-- reference: CWE-400, uncontrolled resource consumption
-- source: https://cwe.mitre.org/data/definitions/400.html
-- wants: the room's time
-- succeeds: exhausts
-- stopped-by: join-kind
SELECT SUM(a.fare * b.fare + c.fare * d.fare + e.fare) FROM fleet.jobs a CROSS JOIN fleet.jobs b CROSS JOIN fleet.jobs c CROSS JOIN fleet.jobs d CROSS JOIN fleet.jobs e CROSS JOIN fleet.jobs f
