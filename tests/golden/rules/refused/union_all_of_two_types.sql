-- schema: carriers
-- reason: union-column
SELECT COUNT(*) FROM (SELECT zone, tip FROM north.rides UNION ALL SELECT zone, speed FROM south.rides) AS d
