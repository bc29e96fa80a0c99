-- schema: pilot
-- reason: aggregate-filter
SELECT QUANTILE_CONT(0.5) WITHIN GROUP (ORDER BY speed) FROM carmaker.trips
