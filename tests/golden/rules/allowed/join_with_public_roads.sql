-- schema: pilot
SELECT s.class, COUNT(*) AS trips, AVG(t.speed) AS mean_speed
FROM carmaker.trips AS t JOIN road.segments AS s ON t.road = s.road
GROUP BY s.class
