-- schema: pilot
-- reason: sub-query
SELECT COUNT(*) FROM carmaker.trips WHERE zone IN (SELECT depot FROM fleet.jobs)
