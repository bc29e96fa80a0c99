-- schema: carriers
-- reason: set-operation
SELECT COUNT(d.tip) FROM (SELECT vehicle, tip FROM north.rides UNION ALL SELECT vehicle, tip FROM south.rides) AS d JOIN east.rides AS e ON e.zone = d.vehicle
