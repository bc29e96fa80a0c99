-- schema: pilot
-- reason: too-complex
WITH d AS (SELECT vehicle FROM carmaker.trips) SELECT COUNT(*) FROM d a JOIN d b ON a.vehicle = b.vehicle
