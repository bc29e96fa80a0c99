-- schema: pilot
-- reason: conditional
SELECT SUM(CASE WHEN zone = 'airport' THEN speed WHEN zone = 'harbour' THEN brakes END) FROM carmaker.trips
