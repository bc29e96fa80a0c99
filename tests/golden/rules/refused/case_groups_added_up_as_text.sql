-- schema: pilot
-- reason: not-understood
SELECT CASE WHEN zone = 'airport' THEN 'a' ELSE 'b' END AS z, 1 + CASE WHEN zone = 'airport' THEN 'a' ELSE 'b' END AS s, COUNT(*) FROM carmaker.trips GROUP BY z
