-- schema: pilot
-- reason: joined-value
SELECT t.zone FROM carmaker.trips t JOIN road.segments s ON t.road = s.road GROUP BY t.zone HAVING SUM(s.limit_kmh) > 100
