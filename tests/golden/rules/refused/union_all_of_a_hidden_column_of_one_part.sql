-- schema: carriers
-- reason: hidden-column
SELECT note, COUNT(*) FROM (SELECT note FROM south.rides UNION ALL SELECT note FROM north.rides) AS d GROUP BY note
