-- schema: metro
-- reason: row-filter
SELECT s.zone, COUNT(*) AS rides FROM metro.rides AS r LEFT JOIN city.stops AS s ON r.stop = s.stop GROUP BY s.zone
