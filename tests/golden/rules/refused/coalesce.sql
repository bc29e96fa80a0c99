-- schema: pilot
-- reason: conditional
SELECT SUM(COALESCE(gap, 0)) FROM carmaker.trips
