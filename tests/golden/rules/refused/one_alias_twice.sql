-- schema: pilot
-- reason: ambiguous-name
SELECT COUNT(*) FROM carmaker.trips t JOIN fleet.jobs t ON t.vehicle = t.vehicle
