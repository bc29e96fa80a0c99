-- schema: carriers
-- reason: set-operation
WITH a AS (SELECT stop FROM north.rides UNION ALL SELECT stop FROM south.rides), b AS (SELECT stop FROM city.zones UNION ALL SELECT stop FROM east.rides) SELECT COUNT(*) FROM a JOIN b ON a.stop = b.stop
