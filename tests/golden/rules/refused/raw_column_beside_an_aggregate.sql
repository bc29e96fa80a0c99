-- schema: pilot
-- reason: raw-rows
SELECT vehicle, COUNT(*) FROM carmaker.trips GROUP BY zone
