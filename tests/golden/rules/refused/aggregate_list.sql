-- schema: pilot
-- reason: aggregate-not-listed
SELECT list(speed) FROM carmaker.trips
