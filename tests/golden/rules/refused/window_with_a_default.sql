-- schema: trade
-- reason: window
SELECT zone, LAG(COUNT(*), 1, 0) OVER (ORDER BY zone) FROM town.shops GROUP BY zone
