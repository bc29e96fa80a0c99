-- schema: pilot
-- reason: conditional
SELECT zone, CASE WHEN zone = 'airport' THEN 1 ELSE 0 END AS z, COUNT(*) FROM carmaker.trips GROUP BY zone
