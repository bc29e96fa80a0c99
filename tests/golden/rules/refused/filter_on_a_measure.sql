-- schema: pilot
-- reason: filter-column
SELECT COUNT(*) FROM carmaker.trips WHERE speed > 39.5
