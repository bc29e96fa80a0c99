-- schema: pilot
-- reason: table-function
SELECT COUNT(*) FROM range(1000000000)
