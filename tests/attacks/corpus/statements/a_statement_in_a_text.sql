-- attack: A statement in a text, run by query()
-- reference: DuckDB, query and query_table functions
-- source: https://duckdb.org/docs/stable/sql/functions/utility
-- wants: the hidden driver of v07
-- succeeds: shows driver-07
-- stopped-by: table-function
SELECT * FROM query('SELECT driver FROM fleet.jobs')
