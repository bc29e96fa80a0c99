-- schema: pilot
SELECT zone, COUNT(*) AS n, COUNT(*) FILTER (WHERE weather = 'rain') AS wet, SUM(CASE WHEN weather = 'rain' THEN 1 ELSE 0 END) AS same
FROM carmaker.trips GROUP BY zone ORDER BY zone
