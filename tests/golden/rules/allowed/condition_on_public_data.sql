-- schema: pilot
SELECT COUNT(*) AS n, SUM(CASE WHEN class = 'none' THEN limit_kmh ELSE 0 END) AS nothing, SUM(limit_kmh) FILTER (WHERE class = 'none') AS blank FROM road.segments
