-- schema: pilot
-- reason: raw-rows
SELECT zone, COUNT(*) FROM carmaker.trips GROUP BY zone ORDER BY speed
