-- schema: carriers
-- reason: filter-column
SELECT COUNT(*) FROM (SELECT plate FROM north.rides UNION ALL SELECT plate FROM south.rides) AS d WHERE plate = 'p1'
