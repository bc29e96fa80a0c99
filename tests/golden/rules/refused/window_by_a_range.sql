-- schema: trade
-- reason: window
SELECT zone, SUM(COUNT(*)) OVER (ORDER BY MIN(month) RANGE BETWEEN 1 PRECEDING AND CURRENT ROW) FROM town.shops GROUP BY zone
