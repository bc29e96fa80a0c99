-- schema: trade
SELECT zone, SUM(sales) FILTER (WHERE month = 1) AS january FROM town.shops GROUP BY zone ORDER BY zone
