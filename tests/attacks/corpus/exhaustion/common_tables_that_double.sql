-- attack: Common tables each of which reads the one before twice
-- reference: CWE-400, uncontrolled resource consumption
-- source: https://cwe.mitre.org/data/definitions/400.html
-- wants: the room's time
-- succeeds: exhausts
-- stopped-by: too-complex
WITH d0 AS (SELECT kind AS k, hour AS h FROM fleet.jobs WHERE kind = 'day'),
d1 AS (SELECT a.k, a.h + b.h AS h FROM d0 a JOIN d0 b ON a.k = b.k),
d2 AS (SELECT a.k, a.h + b.h AS h FROM d1 a JOIN d1 b ON a.k = b.k),
d3 AS (SELECT a.k, a.h + b.h AS h FROM d2 a JOIN d2 b ON a.k = b.k),
d4 AS (SELECT a.k, a.h + b.h AS h FROM d3 a JOIN d3 b ON a.k = b.k)
SELECT SUM(h) FROM d4
