-- schema: pilot
-- reason: nested-aggregate
SELECT MAX(m) FROM (SELECT vehicle, MAX(brakes) AS m FROM carmaker.trips GROUP BY vehicle) AS d
