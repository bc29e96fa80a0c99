-- schema: pilot
SELECT AVG(CASE weather WHEN 'clear' THEN speed END) AS clear, AVG(CASE (weather) WHEN 'fog' THEN speed END) AS fog FROM carmaker.trips
