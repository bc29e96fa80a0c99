-- attack: A place for a value that is filled in later
-- reference: DuckDB, Prepared statements
-- source: https://duckdb.org/docs/stable/sql/query_syntax/prepared_statements
-- wants: what the place is filled with
-- succeeds: error shows Values were not provided
-- stopped-by: parameter
SELECT AVG(fare) FROM fleet.jobs WHERE zone = ?
