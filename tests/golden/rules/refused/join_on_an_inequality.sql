-- schema: pilot
-- reason: join-key
SELECT COUNT(*) FROM carmaker.trips t JOIN fleet.jobs j ON t.vehicle <> j.vehicle
