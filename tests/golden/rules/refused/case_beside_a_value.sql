-- schema: pilot
-- reason: conditional
SELECT SUM(1 + CASE WHEN zone = 'airport' THEN 1 END) FROM carmaker.trips
