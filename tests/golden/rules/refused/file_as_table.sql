-- schema: pilot
-- reason: no-agreement
SELECT COUNT(*) FROM '/etc/passwd'
