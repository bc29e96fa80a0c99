-- schema: pilot
-- reason: group-column
SELECT zone = 'airport', COUNT(*) FROM carmaker.trips GROUP BY zone = 'airport'
