-- schema: metro
SELECT line, COUNT(*) AS rides, SUM(fare) AS fares FROM metro.rides GROUP BY line ORDER BY line
