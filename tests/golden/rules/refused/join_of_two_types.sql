-- schema: pilot
-- reason: join-key
SELECT COUNT(*) FROM carmaker.trips t JOIN road.segments s ON t.road = s.limit_kmh
