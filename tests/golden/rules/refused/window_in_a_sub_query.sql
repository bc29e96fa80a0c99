-- schema: trade
-- reason: window
SELECT n, COUNT(*) FROM (SELECT ROW_NUMBER() OVER (ORDER BY firm) AS n FROM town.shops) AS d GROUP BY n
