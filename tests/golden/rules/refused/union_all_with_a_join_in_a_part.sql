-- schema: carriers
-- reason: set-operation
SELECT COUNT(*) FROM (SELECT n.tip FROM north.rides AS n JOIN city.zones AS z ON z.stop = n.stop UNION ALL SELECT tip FROM south.rides) AS d
