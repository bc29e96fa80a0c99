-- schema: trade
SELECT zone, ROW_NUMBER() OVER (ORDER BY COUNT(*) DESC) AS place FROM town.shops GROUP BY zone HAVING COUNT(*) > 6 ORDER BY RANK() OVER (ORDER BY COUNT(*) DESC), zone
