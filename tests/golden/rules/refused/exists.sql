-- schema: pilot
-- reason: sub-query
SELECT COUNT(*) FROM carmaker.trips t WHERE EXISTS (SELECT 1 FROM fleet.jobs j WHERE j.vehicle = t.vehicle)
