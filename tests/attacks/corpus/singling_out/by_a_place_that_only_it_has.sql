-- attack: How many groups there are, told by the last one's place, small ones among them
-- reference: ISO/IEC 9075-2 (SQL), window functions; DuckDB, Window functions
-- source: https://duckdb.org/docs/stable/sql/functions/window_functions
-- wants: whether v07 is among the records: its jobs at the airport are a group of their own
-- succeeds: differs without v07
-- stopped-by: answered
-- protection: places are counted among the groups that have been released, of which the small one is none, there or not
SELECT zone, COUNT(*) OVER () AS zones FROM fleet.jobs GROUP BY zone ORDER BY zone
