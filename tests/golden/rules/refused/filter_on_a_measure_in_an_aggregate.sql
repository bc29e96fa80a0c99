-- schema: pilot
-- reason: filter-column
SELECT COUNT(*) FILTER (WHERE speed > 39.5) FROM carmaker.trips
