-- schema: pilot
SELECT SUM(speed) FILTER (WHERE weather = 'rain') AS rain, SUM(speed) FILTER (WHERE weather = 'fog') AS fog,
SUM(speed) FILTER (WHERE weather IN ('rain', 'fog')) AS both, SUM(speed) AS s FROM carmaker.trips WHERE zone IN ('harbour', 'old-town')
