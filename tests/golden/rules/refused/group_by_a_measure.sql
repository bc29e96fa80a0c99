-- schema: pilot
-- reason: group-column
SELECT speed, COUNT(*) FROM carmaker.trips GROUP BY speed
