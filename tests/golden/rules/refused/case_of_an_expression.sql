-- schema: pilot
-- reason: conditional
SELECT SUM(CASE WHEN zone = 'airport' THEN speed * 2 END) FROM carmaker.trips
