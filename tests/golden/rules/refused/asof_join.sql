-- schema: pilot
-- reason: join-kind
SELECT COUNT(*) FROM carmaker.trips t ASOF JOIN fleet.jobs j ON t.vehicle = j.vehicle AND t.started >= j.fare
