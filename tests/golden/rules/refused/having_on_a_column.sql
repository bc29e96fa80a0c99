-- schema: pilot
-- reason: having-form
SELECT zone, COUNT(*) FROM carmaker.trips GROUP BY zone HAVING zone = 'airport'
