-- schema: pilot
-- reason: cast
SELECT SUM(speed::INTEGER) FROM carmaker.trips
