-- attack: Some value of the group
-- reference: DuckDB, Aggregate functions
-- source: https://duckdb.org/docs/stable/sql/functions/aggregates
-- wants: the hidden driver of v07
-- succeeds: shows driver-
-- stopped-by: aggregate-not-listed
SELECT ANY_VALUE(driver) FROM fleet.jobs
