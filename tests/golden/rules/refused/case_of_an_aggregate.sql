-- schema: pilot
-- reason: conditional
SELECT zone, CASE WHEN COUNT(*) > 20 THEN 1 ELSE 0 END FROM carmaker.trips GROUP BY zone
