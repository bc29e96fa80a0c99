-- schema: pilot
-- reason: filter-column
SELECT CASE WHEN speed > 10 THEN 'fast' ELSE 'slow' END AS s, COUNT(*) FROM carmaker.trips GROUP BY s
