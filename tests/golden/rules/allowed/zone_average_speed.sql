-- schema: pilot
SELECT zone, COUNT(*) AS trips, AVG(speed) AS mean_speed
FROM carmaker.trips
GROUP BY zone
