-- schema: trade
-- reason: window
SELECT zone, SUM(COUNT(*)) FILTER (WHERE zone = 'east') OVER () FROM town.shops GROUP BY zone
