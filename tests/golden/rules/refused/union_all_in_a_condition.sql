-- schema: carriers
-- reason: set-operation
SELECT COUNT(*) FROM north.rides WHERE zone IN (SELECT zone FROM south.rides UNION ALL SELECT zone FROM east.rides)
