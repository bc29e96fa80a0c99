-- schema: pilot
-- reason: raw-rows
SELECT 1 FROM carmaker.trips
