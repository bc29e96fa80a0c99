-- schema: trade
-- reason: window
SELECT zone, COUNT(DISTINCT COUNT(*)) OVER () FROM town.shops GROUP BY zone
