-- schema: pilot
-- reason: aggregate-not-permitted
SELECT SUM(gap) FROM carmaker.trips
