-- schema: carriers
-- reason: set-operation
SELECT COUNT(d.tip) FROM (SELECT zone, tip FROM north.rides UNION ALL SELECT zone, tip FROM south.rides) AS d JOIN north.rides AS n ON n.zone = d.zone
