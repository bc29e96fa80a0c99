-- schema: pilot
-- reason: conditional
SELECT CASE WHEN zone = 'airport' THEN vehicle ELSE zone END AS z, COUNT(*) FROM carmaker.trips GROUP BY z
