-- schema: pilot
-- reason: set-operation
SELECT COUNT(*) FROM carmaker.trips UNION ALL SELECT COUNT(*) FROM carmaker.trips WHERE zone = 'harbour'
