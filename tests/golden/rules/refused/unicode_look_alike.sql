-- schema: pilot
-- reason: unknown-column
SELECT AVG(ѕpeed) FROM carmaker.trips
