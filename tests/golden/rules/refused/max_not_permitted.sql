-- schema: pilot
-- reason: aggregate-not-permitted
SELECT zone, MAX(speed) FROM carmaker.trips GROUP BY zone
