-- schema: pilot
-- reason: hidden-column
SELECT COUNT(*) FROM carmaker.trips t JOIN fleet.jobs j ON t.vin = j.driver
