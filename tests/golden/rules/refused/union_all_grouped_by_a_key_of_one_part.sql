-- schema: carriers
-- reason: group-column
SELECT plate, COUNT(*) FROM (SELECT plate FROM north.rides UNION ALL SELECT plate FROM south.rides) AS d GROUP BY plate
