-- schema: pilot
-- reason: sampling
SELECT COUNT(*) FROM carmaker.trips TABLESAMPLE 10%
