-- schema: pilot
-- reason: aggregate-not-permitted
SELECT SUM(zone = 'airport') FROM carmaker.trips
