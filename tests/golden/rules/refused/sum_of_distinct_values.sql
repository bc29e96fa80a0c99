-- schema: pilot
-- reason: aggregate-not-permitted
SELECT SUM(DISTINCT brakes) FROM carmaker.trips
