-- schema: pilot
-- reason: conditional
SELECT d.z, COUNT(*) FROM (SELECT CASE WHEN zone = 'airport' THEN 1 ELSE 0 END AS z, vehicle FROM carmaker.trips) AS d GROUP BY d.z
