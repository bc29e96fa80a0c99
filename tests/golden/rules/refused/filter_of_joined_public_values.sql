-- schema: pilot
-- reason: joined-value
SELECT SUM(r.limit_kmh) FILTER (WHERE t.zone = 'airport') FROM carmaker.trips AS t JOIN road.segments AS r ON t.road = r.road
