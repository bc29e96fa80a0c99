-- schema: carriers
-- reason: set-operation
SELECT COUNT(*) FROM (SELECT zone, tip FROM north.rides UNION ALL SELECT zone FROM south.rides) AS d
