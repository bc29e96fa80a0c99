-- schema: pilot
-- reason: joined-value
SELECT t.zone, COUNT(DISTINCT s.road) FROM carmaker.trips t JOIN road.segments s ON t.road = s.road GROUP BY t.zone
