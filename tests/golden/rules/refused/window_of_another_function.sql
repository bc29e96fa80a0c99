-- schema: trade
-- reason: window
SELECT zone, FIRST_VALUE(COUNT(*)) OVER (ORDER BY zone) FROM town.shops GROUP BY zone
