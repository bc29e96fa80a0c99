-- schema: pilot
-- reason: aggregate-not-listed
SELECT quantile_cont(speed, 0) FROM carmaker.trips
