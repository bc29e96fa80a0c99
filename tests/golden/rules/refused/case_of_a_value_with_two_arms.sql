-- schema: pilot
-- reason: conditional
SELECT SUM(CASE zone WHEN 'airport' THEN speed WHEN 'harbour' THEN brakes END) FROM carmaker.trips
