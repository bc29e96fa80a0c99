-- schema: pilot
-- reason: filter-form
SELECT COUNT(*) FROM carmaker.trips WHERE zone = 5
