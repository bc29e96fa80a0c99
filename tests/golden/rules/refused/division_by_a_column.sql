-- schema: pilot
-- reason: division
SELECT SUM(brakes / gap) FROM carmaker.trips
