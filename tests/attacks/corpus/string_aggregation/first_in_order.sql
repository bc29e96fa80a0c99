-- attack: The first value in an order
-- reference: DuckDB, Aggregate functions
-- source: https://duckdb.org/docs/stable/sql/functions/aggregates
-- wants: the fare of v07, which is only in the fleet's books
-- succeeds: shows 7331.25
-- stopped-by: aggregate-not-listed
SELECT FIRST(fare ORDER BY fare DESC) FROM fleet.jobs
