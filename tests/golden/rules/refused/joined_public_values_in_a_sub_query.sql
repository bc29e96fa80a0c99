-- schema: pilot
-- reason: joined-value
SELECT AVG(d.x) FROM (SELECT t.vehicle, s.limit_kmh AS x FROM carmaker.trips t JOIN road.segments s ON t.road = s.road) AS d
