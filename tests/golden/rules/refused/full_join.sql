-- schema: pilot
-- reason: join-kind
SELECT COUNT(*) FROM carmaker.trips t FULL JOIN fleet.jobs j ON t.vehicle = j.vehicle
