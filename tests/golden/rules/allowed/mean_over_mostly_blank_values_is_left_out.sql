-- schema: pilot
SELECT zone, AVG(gap) AS gap FROM carmaker.trips GROUP BY zone
