-- schema: pilot
-- reason: only-select
INSTALL httpfs
