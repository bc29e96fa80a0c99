-- schema: pilot
SELECT COUNT(*) FILTER (WHERE w = 'rain') AS wet, SUM(CASE WHEN NOT w = 'rain' THEN s END) AS dry
FROM (SELECT weather AS w, speed AS s FROM carmaker.trips WHERE zone = 'old-town') AS t
