-- schema: trade
SELECT zone, SUM(sales) AS s, SUM(CASE WHEN month = 1 THEN sales ELSE 0 END) AS january FROM town.shops GROUP BY zone ORDER BY zone
