-- schema: pilot
-- reason: nested-aggregate
WITH d AS (SELECT AVG(speed) AS a FROM carmaker.trips) SELECT AVG(a) FROM d
