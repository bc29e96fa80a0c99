-- schema: pilot
-- reason: join-kind
SELECT COUNT(*) FROM carmaker.trips, fleet.jobs
