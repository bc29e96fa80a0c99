-- schema: pilot
-- reason: division
SELECT SUM(brakes) / 0 FROM carmaker.trips
