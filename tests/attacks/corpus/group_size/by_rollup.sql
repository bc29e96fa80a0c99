-- attack: A total beside its parts: the part that is left out is what remains
-- reference: DuckDB, GROUPING SETS, ROLLUP and CUBE
-- source: https://duckdb.org/docs/stable/sql/query_syntax/grouping_sets
-- wants: the fare of v07, which is only in the fleet's books
-- succeeds: shows 7331.25
-- stopped-by: grouping-sets
SELECT zone, code, AVG(fare) FROM fleet.jobs GROUP BY ROLLUP (zone, code)
