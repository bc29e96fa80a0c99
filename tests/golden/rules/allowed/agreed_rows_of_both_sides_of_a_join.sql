-- schema: metro
SELECT s.zone, COUNT(*) AS rides FROM metro.rides AS r JOIN city.stops AS s ON r.stop = s.stop GROUP BY s.zone ORDER BY s.zone
