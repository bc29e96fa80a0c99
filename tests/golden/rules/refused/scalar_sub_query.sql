-- schema: pilot
-- reason: sub-query
SELECT COUNT(*) FROM carmaker.trips WHERE zone = (SELECT depot FROM fleet.jobs)
