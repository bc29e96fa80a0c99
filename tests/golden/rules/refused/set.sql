-- schema: pilot
-- reason: only-select
SET memory_limit = '100GB'
