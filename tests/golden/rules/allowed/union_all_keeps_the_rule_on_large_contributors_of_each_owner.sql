-- schema: carriers
WITH rides AS (SELECT zone, tip FROM north.rides UNION ALL SELECT zone, tip FROM east.rides)
SELECT zone, SUM(tip) AS tips FROM rides GROUP BY zone ORDER BY zone
