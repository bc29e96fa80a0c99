-- schema: pilot
-- reason: joined-count
SELECT SUM(CASE WHEN t.weather = 'rain' THEN 1 ELSE 0 END) FROM carmaker.trips AS t JOIN fleet.jobs AS j ON t.vehicle = j.vehicle
