-- schema: pilot
-- reason: aggregate-not-listed
SELECT arg_min(zone, speed) FROM carmaker.trips
