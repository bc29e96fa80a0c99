-- schema: pilot
-- reason: hidden-column
SELECT COUNT(x) FROM (SELECT vin AS x FROM carmaker.trips) AS d
