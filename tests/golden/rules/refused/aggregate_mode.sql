-- schema: pilot
-- reason: aggregate-not-listed
SELECT mode(speed) FROM carmaker.trips
