-- schema: pilot
-- reason: aggregate-not-listed
SELECT approx_quantile(speed, 0.5) FROM carmaker.trips
