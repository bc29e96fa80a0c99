-- schema: pilot
SELECT TIME_BUCKET(INTERVAL '6 hours', started) AS step, SUM(brakes) AS brakes FROM carmaker.trips GROUP BY step ORDER BY step
