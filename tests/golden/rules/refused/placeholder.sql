-- schema: pilot
-- reason: parameter
SELECT COUNT(*) FROM carmaker.trips WHERE zone = ?
