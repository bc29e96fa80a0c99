-- attack: A file joined to a product
-- reference: DuckDB, Securing DuckDB
-- source: https://duckdb.org/docs/stable/operations_manual/securing_duckdb/overview
-- wants: a password on the room's machine
-- succeeds: shows hunter2
-- stopped-by: table-function
SELECT f.content, COUNT(*) FROM fleet.jobs j JOIN read_text('{folder}/secret.csv') f ON f.size > 0 GROUP BY f.content
