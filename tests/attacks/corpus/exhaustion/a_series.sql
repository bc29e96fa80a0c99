-- attack: A table made up of numbers
-- reference: CWE-400, uncontrolled resource consumption
-- source: https://cwe.mitre.org/data/definitions/400.html
-- wants: the room's time
-- succeeds: exhausts
-- stopped-by: table-function
SELECT SUM(sin(a.range) * b.range) FROM range(1000000) a, range(1000000) b
