-- schema: pilot
-- reason: recursive-query
WITH RECURSIVE d AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM d) SELECT COUNT(*) FROM d
