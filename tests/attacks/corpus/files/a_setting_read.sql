-- attack: What the room is set to
-- reference: DuckDB, Configuration
-- source: https://duckdb.org/docs/stable/configuration/overview
-- wants: the room's limit of memory
-- succeeds: shows MiB
-- stopped-by: function-not-listed
SELECT current_setting('memory_limit') AS m
