-- schema: pilot
-- reason: hidden-column
SELECT vin, COUNT(*) FROM carmaker.trips GROUP BY vin
