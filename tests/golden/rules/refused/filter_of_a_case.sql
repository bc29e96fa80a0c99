-- schema: pilot
-- reason: aggregate-filter
SELECT SUM(CASE WHEN zone = 'airport' THEN speed END) FILTER (WHERE weather = 'rain') FROM carmaker.trips
