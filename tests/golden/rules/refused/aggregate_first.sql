-- schema: pilot
-- reason: aggregate-not-listed
SELECT first(speed) FROM carmaker.trips
