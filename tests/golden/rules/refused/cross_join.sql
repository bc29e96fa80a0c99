-- schema: pilot
-- reason: join-kind
SELECT COUNT(*) FROM carmaker.trips CROSS JOIN fleet.jobs
