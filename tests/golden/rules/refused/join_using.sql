-- schema: pilot
-- reason: join-kind
SELECT COUNT(*) FROM carmaker.trips JOIN fleet.jobs USING (vehicle)
