-- schema: carriers
SELECT day, COUNT(*) AS n
FROM (SELECT DATE_TRUNC('day', started) AS day FROM north.rides
      UNION ALL SELECT DATE_TRUNC('day', started) FROM south.rides
      UNION ALL SELECT DATE_TRUNC('day', started) FROM east.rides) AS d
GROUP BY day ORDER BY day
