-- schema: pilot
-- reason: cast
SELECT COUNT(*) FROM carmaker.trips WHERE CAST(zone AS INTEGER) = 1
