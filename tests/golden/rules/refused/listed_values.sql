-- schema: pilot
-- reason: table-function
SELECT COUNT(*) FROM (VALUES (1), (2)) AS v(x)
