-- schema: pilot
-- reason: aggregate-not-permitted
SELECT MIN(speed) FROM carmaker.trips
