-- schema: pilot
SELECT road, SUM(brakes) AS brakes FROM carmaker.trips GROUP BY road HAVING SUM(brakes) >= 40 AND COUNT(*) > 3 ORDER BY brakes DESC LIMIT 3
