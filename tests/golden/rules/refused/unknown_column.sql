-- schema: pilot
-- reason: unknown-column
SELECT AVG(altitude) FROM carmaker.trips
