-- schema: pilot
-- reason: group-column
SELECT CASE WHEN zone = 'airport' THEN 1 WHEN road = 'r0' THEN 2 ELSE 0 END AS z, COUNT(*) FROM carmaker.trips GROUP BY z
