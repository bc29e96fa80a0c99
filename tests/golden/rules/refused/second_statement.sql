-- schema: pilot
-- reason: one-statement
SELECT COUNT(*) FROM carmaker.trips; SELECT vin FROM carmaker.trips
