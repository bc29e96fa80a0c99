-- schema: pilot
-- reason: aggregate-filter
SELECT SUM(speed) FILTER (WHERE zone = 'airport') FROM carmaker.trips
