-- attack: Bits of all values at once
-- reference: DuckDB, Aggregate functions
-- source: https://duckdb.org/docs/stable/sql/functions/aggregates
-- wants: the hidden number of the last job
-- succeeds: shows 63
-- stopped-by: aggregate-not-listed
SELECT BIT_OR(job) FROM fleet.jobs
