-- schema: carriers
-- reason: aggregate-not-permitted
SELECT day, COUNT(*) AS n, MIN(speed) AS slowest
FROM (SELECT DATE_TRUNC('day', started) AS day, speed FROM north.rides UNION ALL SELECT DATE_TRUNC('day', started), speed FROM east.rides) AS d
GROUP BY day
