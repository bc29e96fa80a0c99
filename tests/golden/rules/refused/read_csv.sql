-- schema: pilot
-- reason: table-function
SELECT COUNT(*) FROM read_csv('/etc/passwd')
