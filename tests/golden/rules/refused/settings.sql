-- schema: pilot
-- reason: table-function
SELECT COUNT(*) FROM duckdb_settings()
