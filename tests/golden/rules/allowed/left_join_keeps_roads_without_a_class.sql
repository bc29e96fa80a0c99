-- schema: pilot
SELECT s.class AS class, COUNT(*) AS trips
FROM carmaker.trips t LEFT JOIN road.segments s ON s.road = t.road
GROUP BY s.class
