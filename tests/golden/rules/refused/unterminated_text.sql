-- schema: pilot
-- reason: not-understood
SELECT COUNT(*) FROM carmaker.trips WHERE zone = 'x
