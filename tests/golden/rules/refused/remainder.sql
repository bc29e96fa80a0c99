-- schema: pilot
-- reason: division
SELECT SUM(brakes) % 2 FROM carmaker.trips
