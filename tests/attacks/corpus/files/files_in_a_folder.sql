-- attack: The names of files
-- reference: DuckDB, Securing DuckDB
-- source: https://duckdb.org/docs/stable/operations_manual/securing_duckdb/overview
-- wants: which files there are
-- succeeds: shows secret.csv
-- stopped-by: table-function
SELECT file FROM glob('{folder}/*')
