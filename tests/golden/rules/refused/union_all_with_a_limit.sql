-- schema: carriers
-- reason: set-operation
SELECT COUNT(*) FROM (SELECT tip FROM north.rides UNION ALL SELECT tip FROM south.rides LIMIT 5) AS d
