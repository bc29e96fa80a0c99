-- attack: Rows written to a file
-- reference: DuckDB, Securing DuckDB
-- source: https://duckdb.org/docs/stable/operations_manual/securing_duckdb/overview
-- wants: the fleet's records in a file
-- succeeds: leaves out.csv
-- stopped-by: only-select
COPY (SELECT driver FROM fleet.jobs) TO '{folder}/out.csv'
