-- schema: pilot
-- reason: aggregate-not-listed
SELECT stddev(speed) FROM carmaker.trips
