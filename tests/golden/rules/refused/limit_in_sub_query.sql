-- schema: pilot
-- reason: nested-aggregate
SELECT AVG(speed) FROM (SELECT speed FROM carmaker.trips LIMIT 1) AS d
