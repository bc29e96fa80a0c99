-- attack: A list of names
-- reference: DuckDB, Aggregate functions
-- source: https://duckdb.org/docs/stable/sql/functions/aggregates
-- wants: the hidden driver of v07
-- succeeds: shows driver-07
-- stopped-by: aggregate-not-listed
SELECT zone, STRING_AGG(DISTINCT driver, ',') FROM fleet.jobs GROUP BY zone
