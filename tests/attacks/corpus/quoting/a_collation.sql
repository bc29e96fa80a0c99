-- attack: A collation under which other letters are equal
-- reference: DuckDB, Collations
-- source: https://duckdb.org/docs/stable/sql/expressions/collations
-- wants: the fare of v07, which is only in the fleet's books
-- succeeds: shows 7331.25
-- stopped-by: function-not-listed
SELECT AVG(fare) AS y FROM fleet.jobs WHERE vehicle = 'V07' COLLATE NOCASE
