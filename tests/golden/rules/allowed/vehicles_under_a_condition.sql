-- schema: pilot
SELECT zone, COUNT(DISTINCT vehicle) FILTER (WHERE weather IN ('rain', 'fog')) AS n, COUNT(DISTINCT CASE WHEN weather = 'clear' THEN vehicle END) AS m
FROM carmaker.trips GROUP BY zone HAVING COUNT(*) FILTER (WHERE weather = 'clear') > 1
