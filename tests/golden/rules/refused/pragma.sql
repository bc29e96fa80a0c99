-- schema: pilot
-- reason: only-select
PRAGMA database_list
