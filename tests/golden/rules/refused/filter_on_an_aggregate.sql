-- schema: pilot
-- reason: filter-form
SELECT SUM(speed) FILTER (WHERE COUNT(*) > 3) FROM carmaker.trips
