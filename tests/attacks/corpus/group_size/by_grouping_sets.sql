-- attack: Small groups among those of GROUPING SETS
-- reference: DuckDB, GROUPING SETS, ROLLUP and CUBE
-- source: https://duckdb.org/docs/stable/sql/query_syntax/grouping_sets
-- wants: the fare of v07, which is only in the fleet's books
-- succeeds: shows 7331.25
-- stopped-by: grouping-sets
SELECT zone, AVG(fare) FROM fleet.jobs GROUP BY GROUPING SETS ((zone), ())
