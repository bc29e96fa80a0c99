-- attack: Statistics of the storage: least and greatest of each column
-- reference: DuckDB, Securing DuckDB
-- source: https://duckdb.org/docs/stable/operations_manual/securing_duckdb/overview
-- wants: the greatest key
-- succeeds: shows v23
-- stopped-by: table-function
SELECT * FROM pragma_storage_info('fleet.jobs')
