-- schema: pilot
-- reason: conditional
SELECT SUM(CASE WHEN zone = 'airport' THEN speed END) FROM carmaker.trips
