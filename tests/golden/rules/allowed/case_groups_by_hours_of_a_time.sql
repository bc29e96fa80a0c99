-- schema: pilot
SELECT CASE WHEN EXTRACT(hour FROM started) < 9 THEN 0.5 ELSE 1 END AS half, AVG(speed) AS speed FROM carmaker.trips GROUP BY CASE WHEN EXTRACT(hour FROM started) < 9 THEN 0.5 ELSE 1 END ORDER BY half
