-- schema: pilot
SELECT COUNT(t.speed) FILTER (WHERE r.class = 'arterial') AS n, AVG(t.speed) FILTER (WHERE r.class = 'arterial') AS s
FROM carmaker.trips AS t JOIN road.segments AS r ON t.road = r.road
