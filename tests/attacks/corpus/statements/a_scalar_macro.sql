-- attack: A macro under the name of an aggregate
-- reference: DuckDB, CREATE MACRO
-- source: https://duckdb.org/docs/stable/sql/statements/create_macro
-- wants: the fare of v07, which is only in the fleet's books
-- succeeds: shows 7331.25
-- stopped-by: only-select, function-not-listed
CREATE MACRO middling(x) AS max(x)
-- then
SELECT middling(fare) FROM fleet.jobs
