-- attack: Two columns in one group's name
-- reference: DuckDB, Aggregate functions
-- source: https://duckdb.org/docs/stable/sql/functions/aggregates
-- wants: the hidden driver of v07
-- succeeds: shows driver-07
-- stopped-by: not-understood
SELECT zone || driver AS z, COUNT(*) FROM fleet.jobs GROUP BY zone || driver
