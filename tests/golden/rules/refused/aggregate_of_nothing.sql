-- schema: pilot
-- reason: no-agreement
SELECT COUNT(*)
