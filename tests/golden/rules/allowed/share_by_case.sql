-- schema: pilot
SELECT AVG(CASE WHEN automated THEN 100 ELSE 0 END) AS percent, SUM(CASE WHEN automated THEN 0.5 ELSE 2 END) AS points FROM carmaker.trips
