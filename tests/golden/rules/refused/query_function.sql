-- schema: pilot
-- reason: table-function
SELECT COUNT(*) FROM query('SELECT 1')
