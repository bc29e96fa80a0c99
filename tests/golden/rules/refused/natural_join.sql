-- schema: pilot
-- reason: join-kind
SELECT COUNT(*) FROM carmaker.trips NATURAL JOIN fleet.jobs
