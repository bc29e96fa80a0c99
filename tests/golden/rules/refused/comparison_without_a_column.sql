-- schema: pilot
-- reason: filter-form
SELECT COUNT(*) FROM carmaker.trips WHERE 1 = 1
