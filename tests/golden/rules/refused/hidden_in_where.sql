-- schema: pilot
-- reason: hidden-column
SELECT COUNT(*) FROM carmaker.trips WHERE vin = 'LSV00003'
