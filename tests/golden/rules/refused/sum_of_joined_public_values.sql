-- schema: pilot
-- reason: joined-value
SELECT t.zone, SUM(s.limit_kmh) FROM carmaker.trips t JOIN road.segments s ON t.road = s.road GROUP BY t.zone
