-- schema: carriers
-- reason: raw-rows
SELECT zone FROM (SELECT zone FROM north.rides UNION ALL SELECT zone FROM south.rides) AS d
