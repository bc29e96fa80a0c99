-- schema: pilot
-- reason: conditional
SELECT CASE WHEN zone = 'airport' THEN 1 ELSE 'other' END AS z, COUNT(*) FROM carmaker.trips GROUP BY z
