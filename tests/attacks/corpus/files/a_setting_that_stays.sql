-- attack: A setting that stays for the next question
-- reference: DuckDB, Configuration
-- source: https://duckdb.org/docs/stable/configuration/overview
-- wants: that the room runs otherwise
-- succeeds: shows 7
-- stopped-by: only-select, function-not-listed
SET threads = 7
-- then
SELECT current_setting('threads') AS n
