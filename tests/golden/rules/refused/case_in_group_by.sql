-- schema: pilot
-- reason: conditional
SELECT CASE WHEN zone = 'airport' THEN 1 ELSE 0 END AS z, COUNT(*) FROM carmaker.trips GROUP BY 1
