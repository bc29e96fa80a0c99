-- attack: A window by the key
-- reference: ISO/IEC 9075-2 (SQL), window functions; DuckDB, Window functions
-- source: https://duckdb.org/docs/stable/sql/functions/window_functions
-- wants: the fare of v07, which is only in the fleet's books
-- succeeds: shows 7331.25
-- stopped-by: window
SELECT AVG(fare) OVER (PARTITION BY vehicle) FROM fleet.jobs
