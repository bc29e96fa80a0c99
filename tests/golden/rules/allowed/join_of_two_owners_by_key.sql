-- schema: pilot
SELECT j.depot, COUNT(DISTINCT t.vehicle) AS vehicles
FROM carmaker.trips t INNER JOIN fleet.jobs j ON t.vehicle = j.vehicle
GROUP BY j.depot
