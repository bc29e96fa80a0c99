-- schema: trade
-- reason: window
SELECT COUNT(*) FROM town.shops GROUP BY RANK() OVER (ORDER BY zone)
