-- schema: pilot
-- reason: filter-form
SELECT COUNT(*) FILTER (WHERE zone = weather) FROM carmaker.trips
