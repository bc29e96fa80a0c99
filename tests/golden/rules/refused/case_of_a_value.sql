-- schema: pilot
-- reason: conditional
SELECT SUM(CASE zone WHEN 'airport' THEN speed END) FROM carmaker.trips
