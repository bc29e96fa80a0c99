-- schema: pilot
-- reason: conditional
SELECT SUM(IF(zone = 'airport', speed, 0)) FROM carmaker.trips
