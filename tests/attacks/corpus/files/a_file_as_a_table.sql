-- attack: A file as a table
-- reference: DuckDB, Securing DuckDB
-- source: https://duckdb.org/docs/stable/operations_manual/securing_duckdb/overview
-- wants: a password on the room's machine
-- succeeds: shows hunter2
-- stopped-by: no-agreement
SELECT password FROM '{folder}/secret.csv'
