-- schema: carriers
-- reason: aggregate-not-permitted
SELECT SUM(speed) FROM (SELECT speed FROM south.rides UNION ALL SELECT speed FROM north.rides) AS d
