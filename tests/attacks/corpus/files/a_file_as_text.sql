-- attack: A file of the room's machine
-- reference: DuckDB, Securing DuckDB
-- source: https://duckdb.org/docs/stable/operations_manual/securing_duckdb/overview
-- wants: a password on the room's machine
-- succeeds: shows hunter2
-- stopped-by: table-function
SELECT content FROM read_text('{folder}/secret.csv')
