-- schema: carriers
-- reason: union-column
SELECT COUNT(DISTINCT vehicle) FROM (SELECT vehicle FROM north.rides UNION ALL SELECT vehicle FROM south.rides) AS d
