-- schema: pilot
-- reason: group-column
SELECT FLOOR(speed / 5) * 5, COUNT(*) FROM carmaker.trips GROUP BY FLOOR(speed / 5) * 5
