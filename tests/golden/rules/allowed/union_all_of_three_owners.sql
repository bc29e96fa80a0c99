-- schema: carriers
SELECT zone, COUNT(*) AS rides, AVG(speed) AS speed
FROM (SELECT zone, speed FROM north.rides UNION ALL SELECT zone, speed FROM south.rides UNION ALL SELECT zone, speed FROM east.rides) AS d
GROUP BY zone ORDER BY zone
