-- schema: pilot
-- reason: distinct
SELECT DISTINCT zone FROM carmaker.trips
