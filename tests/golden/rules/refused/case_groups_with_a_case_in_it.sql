-- schema: pilot
-- reason: conditional
SELECT CASE WHEN zone = 'airport' THEN CASE WHEN zone = 'x' THEN 1 ELSE 2 END ELSE 0 END AS z, COUNT(*) FROM carmaker.trips GROUP BY z
