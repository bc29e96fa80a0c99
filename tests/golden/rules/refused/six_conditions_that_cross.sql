-- schema: pilot
-- reason: too-many-conditions
SELECT COUNT(*) FILTER (WHERE zone = 'airport'), COUNT(*) FILTER (WHERE weather = 'rain'), COUNT(*) FILTER (WHERE automated),
COUNT(*) FILTER (WHERE road = 'r0'), COUNT(*) FILTER (WHERE day < DATE '2026-03-02'), COUNT(*) FILTER (WHERE started IS NULL) FROM carmaker.trips
