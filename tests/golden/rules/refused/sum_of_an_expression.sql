-- schema: pilot
-- reason: aggregate-not-permitted
SELECT SUM(brakes * 1000000) FROM carmaker.trips
