-- schema: pilot
-- reason: joined-value
SELECT t.zone, MAX(s.class) FROM carmaker.trips t JOIN road.segments s ON t.road = s.road GROUP BY t.zone
