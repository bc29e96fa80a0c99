-- schema: pilot
-- reason: conditional
SELECT COUNT(CASE WHEN zone = 'airport' THEN speed ELSE 0 END) FROM carmaker.trips
