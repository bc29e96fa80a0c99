-- schema: pilot
-- reason: conditional
SELECT SUM(CASE CASE zone WHEN 'airport' THEN 'a' END WHEN 'a' THEN speed END) FROM carmaker.trips
