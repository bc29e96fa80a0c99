-- schema: pilot
-- reason: filter-form
SELECT CASE WHEN zone = road THEN 1 ELSE 0 END AS z, COUNT(*) FROM carmaker.trips GROUP BY z
