-- schema: carriers
-- reason: union-column
SELECT SUM(fare) FROM (SELECT fare FROM north.rides UNION ALL SELECT fare FROM south.rides) AS d
