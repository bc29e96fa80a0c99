-- attack: A prepared statement with the key as its parameter
-- reference: DuckDB, Prepared statements
-- source: https://duckdb.org/docs/stable/sql/query_syntax/prepared_statements
-- wants: the fare of v07, which is only in the fleet's books
-- succeeds: shows 7331.25
-- stopped-by: one-statement
PREPARE q AS SELECT AVG(fare) FROM fleet.jobs WHERE vehicle = $1; EXECUTE q('v07')
