-- schema: pilot
-- reason: aggregate-not-listed
SELECT histogram(brakes) FROM carmaker.trips
