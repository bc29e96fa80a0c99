-- attack: An order of more rows than fit in memory
-- reference: CWE-400, uncontrolled resource consumption
-- source: https://cwe.mitre.org/data/definitions/400.html
-- wants: the room's memory
-- succeeds: exhausts
-- stopped-by: table-function
SELECT SUM(x) FROM (SELECT range AS x FROM range(300000000) ORDER BY hash(range) LIMIT 200000000)
