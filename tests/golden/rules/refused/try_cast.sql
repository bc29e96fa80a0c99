-- schema: pilot
-- reason: cast
SELECT COUNT(*) FROM carmaker.trips WHERE TRY_CAST(zone AS INTEGER) IS NULL
