-- schema: carriers
-- reason: set-operation
SELECT SUM(tip) FROM (SELECT tip FROM north.rides UNION ALL SELECT tip FROM north.rides WHERE zone = 'gate') AS d
