-- attack: A pragma as a table
-- reference: DuckDB, Configuration
-- source: https://duckdb.org/docs/stable/configuration/overview
-- wants: how the room is set up
-- succeeds: returns more than 20 rows
-- stopped-by: table-function
SELECT name, value FROM duckdb_settings()
