-- attack: Rows out of a list
-- reference: CWE-400, uncontrolled resource consumption
-- source: https://cwe.mitre.org/data/definitions/400.html
-- wants: the room's memory
-- succeeds: returns more than 10000 rows
-- stopped-by: function-not-listed
SELECT unnest(range(1000)), zone FROM fleet.jobs
