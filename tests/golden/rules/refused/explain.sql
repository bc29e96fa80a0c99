-- schema: pilot
-- reason: only-select
EXPLAIN ANALYZE SELECT COUNT(*) FROM carmaker.trips
