-- schema: pilot
-- reason: pattern
SELECT COUNT(*) FROM carmaker.trips WHERE zone LIKE 'h%'
