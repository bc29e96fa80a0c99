-- schema: pilot
-- reason: not-understood
SELECT MAX(brakes, 3) FROM carmaker.trips
