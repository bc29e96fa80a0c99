-- schema: pilot
-- reason: star
SELECT * FROM carmaker.trips
