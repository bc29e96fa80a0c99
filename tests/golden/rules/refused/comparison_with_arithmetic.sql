-- schema: pilot
-- reason: filter-form
SELECT COUNT(*) FROM platform.requests WHERE hour + 1 = 8
