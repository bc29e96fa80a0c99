-- schema: pilot
SELECT automated, ROUND(SUM(brakes) / NULLIF(COUNT(*), 0), 2) AS per_trip FROM carmaker.trips GROUP BY automated
