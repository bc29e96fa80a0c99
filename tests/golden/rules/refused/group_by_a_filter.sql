-- schema: pilot
-- reason: group-column
SELECT weather, COUNT(*) FROM carmaker.trips GROUP BY weather
