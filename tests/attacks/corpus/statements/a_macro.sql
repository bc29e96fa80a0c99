-- attack: A macro that hides the hidden column
-- reference: DuckDB, CREATE MACRO
-- source: https://duckdb.org/docs/stable/sql/statements/create_macro
-- wants: the hidden driver of v07
-- succeeds: shows driver-07
-- stopped-by: only-select, table-function
CREATE MACRO harmless() AS TABLE SELECT driver FROM fleet.jobs
-- then
SELECT * FROM harmless()
