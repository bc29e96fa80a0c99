-- schema: carriers
-- reason: group-column
SELECT kind, COUNT(*) FROM (SELECT kind FROM north.rides UNION ALL SELECT kind FROM south.rides) AS d GROUP BY kind
