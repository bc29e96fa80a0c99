-- schema: pilot
-- reason: not-understood
SELECT zone, COUNT(*) FROM carmaker.trips GROUP BY zone ORDER BY zone NULLS FIRST
