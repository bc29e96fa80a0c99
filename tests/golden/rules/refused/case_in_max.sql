-- schema: pilot
-- reason: conditional
SELECT MAX(CASE WHEN zone = 'airport' THEN brakes END) FROM carmaker.trips
