-- schema: pilot
-- reason: not-understood
SELECT COUNT(*) FROM carmaker.trips LIMIT 10%
