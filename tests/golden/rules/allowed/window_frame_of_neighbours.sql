-- schema: trade
SELECT zone, COUNT(*) AS n, AVG(COUNT(*)) OVER (ORDER BY zone ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) AS mean, COUNT(*) OVER () AS zones FROM town.shops GROUP BY zone ORDER BY zone
