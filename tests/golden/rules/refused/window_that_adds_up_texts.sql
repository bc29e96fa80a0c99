-- schema: trade
-- reason: not-understood
SELECT zone, SUM(zone) OVER () FROM town.shops GROUP BY zone
