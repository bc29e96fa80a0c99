-- schema: carriers
-- reason: set-operation
SELECT COUNT(*) FROM (SELECT zone FROM north.rides INTERSECT SELECT zone FROM south.rides) AS d
