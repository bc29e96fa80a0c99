-- schema: pilot
-- reason: star
SELECT COLUMNS('.*') FROM carmaker.trips
