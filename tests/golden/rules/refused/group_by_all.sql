-- schema: pilot
-- reason: grouping-sets
SELECT zone, COUNT(*) FROM carmaker.trips GROUP BY ALL
