-- schema: pilot
-- reason: aggregate-not-listed
SELECT median(speed) FROM carmaker.trips
