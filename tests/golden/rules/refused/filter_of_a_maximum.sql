-- schema: pilot
-- reason: aggregate-filter
SELECT MAX(brakes) FILTER (WHERE zone = 'airport') FROM carmaker.trips
