-- schema: carriers
-- reason: no-agreement
SELECT COUNT(*) FROM (SELECT zone FROM north.rides UNION ALL SELECT zone FROM west.rides) AS d
