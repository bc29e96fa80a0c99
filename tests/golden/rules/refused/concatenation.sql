-- schema: pilot
-- reason: not-understood
SELECT zone || 'x', COUNT(*) FROM carmaker.trips GROUP BY zone
