-- schema: pilot
SELECT EXTRACT(hour FROM started) AS hour, COUNT(*) AS n FROM carmaker.trips GROUP BY hour
