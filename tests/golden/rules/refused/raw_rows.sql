-- schema: pilot
-- reason: raw-rows
SELECT zone, speed FROM carmaker.trips
