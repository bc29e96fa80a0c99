-- schema: pilot
-- reason: hidden-column
SELECT COUNT(DISTINCT vin) FROM carmaker.trips
