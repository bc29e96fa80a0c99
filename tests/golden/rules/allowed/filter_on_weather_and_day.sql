-- schema: pilot
SELECT SUM(brakes) AS brakes, MAX(brakes) AS most, COUNT(*) AS n
FROM carmaker.trips
WHERE weather IN ('rain', 'fog') AND day >= DATE '2026-03-02'
