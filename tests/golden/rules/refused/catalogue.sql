-- schema: pilot
-- reason: no-agreement
SELECT COUNT(*) FROM information_schema.tables
