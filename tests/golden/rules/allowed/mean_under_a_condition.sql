-- schema: pilot
SELECT AVG(CASE WHEN weather = 'clear' THEN speed END) AS clear, AVG(speed) FILTER (WHERE weather = 'fog') AS fog FROM carmaker.trips
