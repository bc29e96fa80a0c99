-- schema: pilot
SELECT CASE WHEN automated THEN 'a' ELSE 'm' END AS mode, road, COUNT(*) AS n, RANK() OVER (ORDER BY COUNT(*) DESC) AS place FROM carmaker.trips GROUP BY mode, road HAVING COUNT(*) > 6 ORDER BY mode, road
