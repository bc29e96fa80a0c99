-- schema: pilot
SELECT FLOOR(d.lim / 50) * 50 AS step, COUNT(*) AS n
FROM (SELECT s.limit_kmh AS lim, t.vehicle FROM carmaker.trips t JOIN road.segments s ON t.road = s.road) AS d
GROUP BY FLOOR(d.lim / 50) * 50
