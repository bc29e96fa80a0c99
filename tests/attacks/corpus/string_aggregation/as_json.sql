-- attack: Records as JSON
-- reference: DuckDB, Aggregate functions
-- source: https://duckdb.org/docs/stable/sql/functions/aggregates
-- wants: the hidden driver of v07
-- succeeds: shows driver-07
-- stopped-by: function-not-listed
SELECT MAX(to_json(j)) FROM fleet.jobs j WHERE kind = 'night'
