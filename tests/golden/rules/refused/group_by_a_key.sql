-- schema: pilot
-- reason: group-column
SELECT vehicle, COUNT(*) FROM carmaker.trips GROUP BY vehicle
