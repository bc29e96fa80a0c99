-- schema: pilot
SELECT COUNT(*) AS n, COUNT(DISTINCT zone) AS zones FROM carmaker.trips WHERE EXTRACT(hour FROM started) >= 7 AND 10 > HOUR(started)
