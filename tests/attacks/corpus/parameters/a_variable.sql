-- attack: A variable of the session as the key
-- reference: DuckDB, SET VARIABLE
-- source: https://duckdb.org/docs/stable/sql/statements/set_variable
-- wants: the fare of v07, which is only in the fleet's books
-- succeeds: shows 7331.25
-- stopped-by: only-select, function-not-listed
SET VARIABLE victim = 'v07'
-- then
SELECT AVG(fare) FROM fleet.jobs WHERE vehicle = getvariable('victim')
