-- schema: pilot
-- reason: aggregate-not-permitted
SELECT MAX(vehicle) FROM carmaker.trips
