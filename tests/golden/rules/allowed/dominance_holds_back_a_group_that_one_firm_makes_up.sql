-- schema: trade
SELECT zone, SUM(sales) AS s, COUNT(DISTINCT firm) AS n FROM town.shops GROUP BY zone ORDER BY zone
