-- schema: pilot
-- reason: aggregate-not-permitted
SELECT zone, COUNT(*) FROM carmaker.trips GROUP BY zone HAVING MIN(speed) > 3
