-- attack: A table by its name in a text
-- reference: DuckDB, query and query_table functions
-- source: https://duckdb.org/docs/stable/sql/functions/utility
-- wants: the hidden driver of v07
-- succeeds: shows driver-07
-- stopped-by: table-function
SELECT driver FROM query_table('fleet.jobs')
