-- attack: A collation in the order of raw rows
-- reference: DuckDB, Collations
-- source: https://duckdb.org/docs/stable/sql/expressions/collations
-- wants: the hidden driver of v07
-- succeeds: shows driver-07
-- stopped-by: function-not-listed
SELECT driver FROM fleet.jobs ORDER BY driver COLLATE NOCASE
