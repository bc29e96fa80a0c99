-- schema: trade
-- reason: window
SELECT zone, SUM(COUNT(*) OVER ()) FROM town.shops GROUP BY zone
