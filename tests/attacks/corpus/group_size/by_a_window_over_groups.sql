-- attack: A window over groups, which sees those that are left out
-- reference: ISO/IEC 9075-2 (SQL), window functions; DuckDB, Window functions
-- source: https://duckdb.org/docs/stable/sql/functions/window_functions
-- wants: the fare of v07, which is only in the fleet's books
-- succeeds: shows 7331.25
-- stopped-by: answered
-- protection: windows are computed over the groups that have been released, and a group that was left out is in none of them
SELECT zone, COUNT(*) AS n, MAX(AVG(fare)) OVER () AS y FROM fleet.jobs GROUP BY zone
