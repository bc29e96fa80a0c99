-- schema: carriers
-- reason: set-operation
SELECT COUNT(*) FROM (SELECT tip FROM north.rides UNION ALL SELECT tip FROM south.rides UNION SELECT tip FROM east.rides) AS d
