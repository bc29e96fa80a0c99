-- schema: pilot
-- reason: division
SELECT SUM(brakes) / SUM(speed) FROM carmaker.trips
