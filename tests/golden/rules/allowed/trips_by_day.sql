-- schema: pilot
SELECT DATE_TRUNC('day', started) AS day, COUNT(*) AS n FROM carmaker.trips GROUP BY 1 ORDER BY 1
