-- schema: carriers
-- reason: set-operation
SELECT COUNT(*) FROM (SELECT tip FROM (SELECT tip FROM north.rides) AS n UNION ALL SELECT tip FROM south.rides) AS d
