-- schema: pilot
WITH clear_trips AS (SELECT road AS way, speed FROM carmaker.trips WHERE weather = 'clear')
SELECT way, AVG(speed) AS mean_speed FROM clear_trips GROUP BY way
