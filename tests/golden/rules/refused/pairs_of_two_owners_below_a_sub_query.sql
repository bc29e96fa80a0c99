-- schema: pilot
-- reason: joined-count
SELECT COUNT(*) FROM (SELECT t.vehicle FROM carmaker.trips t JOIN fleet.jobs j ON t.vehicle = j.vehicle) AS d
