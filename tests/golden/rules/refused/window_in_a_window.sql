-- schema: trade
-- reason: window
SELECT zone, SUM(RANK() OVER (ORDER BY COUNT(*))) OVER () FROM town.shops GROUP BY zone
