-- schema: pilot
SELECT CASE WHEN zone = 'airport' THEN 1 ELSE 0 END AS z, COUNT(*) AS n FROM carmaker.trips GROUP BY 1 ORDER BY 1
