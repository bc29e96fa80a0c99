-- schema: clinic
-- reason: filter-operator
SELECT SUM(CASE WHEN referred < DATE '2026-05-01' THEN days END) FROM town.visits
