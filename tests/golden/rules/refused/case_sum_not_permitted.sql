-- schema: pilot
-- reason: aggregate-not-permitted
SELECT SUM(CASE WHEN zone = 'airport' THEN gap END) FROM carmaker.trips
