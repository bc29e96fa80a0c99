-- schema: pilot
-- reason: not-understood
SELECT zone[1], COUNT(*) FROM carmaker.trips GROUP BY zone[1]
