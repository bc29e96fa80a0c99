-- schema: pilot
-- reason: aggregate-not-listed
SELECT max_by(vehicle, speed) FROM carmaker.trips
