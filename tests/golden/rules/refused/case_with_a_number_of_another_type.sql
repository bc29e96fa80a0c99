-- schema: pilot
-- reason: aggregate-not-permitted
SELECT SUM(CASE WHEN zone = 'airport' THEN brakes ELSE 0.5 END) FROM carmaker.trips
