-- schema: trade
SELECT zone, month, SUM(sales) AS sales, SUM(SUM(sales)) OVER (PARTITION BY zone ORDER BY month) AS running, RANK() OVER (ORDER BY SUM(sales) DESC) AS place, LAG(COUNT(*)) OVER (PARTITION BY zone ORDER BY month) AS shops_before FROM town.shops GROUP BY zone, month ORDER BY zone, month
