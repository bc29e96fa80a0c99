-- schema: carriers
-- reason: set-operation
SELECT COUNT(*) FROM (SELECT tip FROM east.rides UNION ALL (SELECT tip FROM north.rides UNION ALL SELECT tip FROM south.rides)) AS d
