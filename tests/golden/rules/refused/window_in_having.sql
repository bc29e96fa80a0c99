-- schema: trade
-- reason: window
SELECT zone, COUNT(*) FROM town.shops GROUP BY zone HAVING RANK() OVER (ORDER BY COUNT(*)) = 1
