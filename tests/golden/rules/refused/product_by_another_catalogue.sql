-- schema: pilot
-- reason: no-agreement
SELECT COUNT(*) FROM system.carmaker.trips
