-- attack: Everything exported
-- reference: DuckDB, Securing DuckDB
-- source: https://duckdb.org/docs/stable/operations_manual/securing_duckdb/overview
-- wants: the fleet's records in files
-- succeeds: leaves out
-- stopped-by: only-select
EXPORT DATABASE '{folder}/out'
