-- schema: pilot
-- reason: filter-column
SELECT SUM(CASE WHEN vehicle = 'v03' THEN speed END) FROM carmaker.trips
