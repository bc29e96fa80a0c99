-- schema: pilot
SELECT CASE zone WHEN 'airport' THEN 1 ELSE 0 END AS z, COUNT(*) AS n FROM carmaker.trips GROUP BY 1 ORDER BY 1
