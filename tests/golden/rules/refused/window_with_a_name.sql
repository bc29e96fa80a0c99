-- schema: trade
-- reason: window
SELECT zone, RANK() OVER w FROM town.shops GROUP BY zone WINDOW w AS (ORDER BY COUNT(*))
