-- schema: carriers
-- reason: union-column
SELECT owner, COUNT(*) FROM (SELECT 'north' AS owner FROM north.rides UNION ALL SELECT 'south' FROM south.rides) AS d GROUP BY owner
