-- schema: trade
-- reason: window
SELECT zone, LAG(COUNT(*) IGNORE NULLS) OVER (ORDER BY zone) FROM town.shops GROUP BY zone
