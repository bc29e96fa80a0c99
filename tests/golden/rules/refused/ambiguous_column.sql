-- schema: pilot
-- reason: unknown-column
SELECT COUNT(vehicle) FROM carmaker.trips t JOIN fleet.jobs j ON t.vehicle = j.vehicle
