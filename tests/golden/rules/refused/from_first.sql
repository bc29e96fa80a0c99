-- schema: pilot
-- reason: star
FROM carmaker.trips
