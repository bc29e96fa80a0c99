-- schema: pilot
SELECT CASE WHEN zone IN ('harbour', 'airport') THEN 'sea' WHEN NOT zone IS NULL THEN 'land' END AS side, COUNT(*) AS n, COUNT(DISTINCT vehicle) AS v FROM carmaker.trips GROUP BY side ORDER BY n DESC
