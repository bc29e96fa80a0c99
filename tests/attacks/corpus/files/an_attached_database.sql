-- attack: Rows written to another database
-- reference: DuckDB, Securing DuckDB
-- source: https://duckdb.org/docs/stable/operations_manual/securing_duckdb/overview
-- wants: the fleet's records in a file
-- succeeds: leaves out.db
-- stopped-by: one-statement
ATTACH '{folder}/out.db' AS o; CREATE TABLE o.t AS SELECT driver FROM fleet.jobs
