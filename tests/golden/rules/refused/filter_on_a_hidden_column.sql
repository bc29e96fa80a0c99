-- schema: pilot
-- reason: hidden-column
SELECT SUM(speed) FILTER (WHERE vin = 'LSV00003') FROM carmaker.trips
