-- schema: carriers
-- reason: nested-aggregate
SELECT SUM(n) FROM (SELECT COUNT(*) AS n FROM north.rides UNION ALL SELECT COUNT(*) AS n FROM south.rides) AS d
