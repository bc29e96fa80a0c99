-- schema: pilot
-- reason: filter-form
SELECT COUNT(*) FROM carmaker.trips WHERE COUNT(zone) > 3
