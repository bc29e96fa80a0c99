-- attack: The product of one value and ones
-- reference: DuckDB, Aggregate functions
-- source: https://duckdb.org/docs/stable/sql/functions/aggregates
-- wants: the fare of v07, which is only in the fleet's books
-- succeeds: shows 7331.25
-- stopped-by: conditional
SELECT PRODUCT(CASE WHEN fare > 7000 AND job = 14 THEN fare ELSE 1 END) FROM fleet.jobs
