-- schema: trade
-- reason: raw-rows
SELECT zone, LAG(sales) OVER (ORDER BY zone) FROM town.shops GROUP BY zone
