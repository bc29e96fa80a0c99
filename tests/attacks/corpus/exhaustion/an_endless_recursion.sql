-- attack: A recursion without an end
-- reference: CWE-674, uncontrolled recursion
-- source: https://cwe.mitre.org/data/definitions/674.html
-- wants: the room's time
-- succeeds: exhausts
-- stopped-by: recursive-query
WITH RECURSIVE d AS (SELECT 1 AS x UNION ALL SELECT x FROM d) SELECT COUNT(*) FROM d
