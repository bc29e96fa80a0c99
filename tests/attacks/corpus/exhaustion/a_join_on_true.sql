-- attack: A join on something that is always so
-- reference: CWE-400, uncontrolled resource consumption
-- source: https://cwe.mitre.org/data/definitions/400.html
-- wants: the room's time
-- succeeds: exhausts
-- stopped-by: join-key
SELECT SUM(a.fare * b.fare + c.fare * d.fare + e.fare) FROM fleet.jobs a JOIN fleet.jobs b ON 1 = 1 JOIN fleet.jobs c ON 1 = 1 JOIN fleet.jobs d ON 1 = 1 JOIN fleet.jobs e ON 1 = 1 JOIN fleet.jobs f ON 1 = 1
