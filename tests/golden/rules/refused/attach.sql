-- schema: pilot
-- reason: only-select
ATTACH '/tmp/x.db' AS x
