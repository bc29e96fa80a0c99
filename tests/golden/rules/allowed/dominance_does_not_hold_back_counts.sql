-- schema: trade
SELECT zone, COUNT(*) AS n, SUM(staff) AS w FROM town.shops GROUP BY zone ORDER BY zone
