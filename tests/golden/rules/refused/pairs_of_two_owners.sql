-- schema: pilot
-- reason: joined-count
SELECT j.depot, COUNT(*) FROM carmaker.trips t JOIN fleet.jobs j ON t.vehicle = j.vehicle GROUP BY j.depot
