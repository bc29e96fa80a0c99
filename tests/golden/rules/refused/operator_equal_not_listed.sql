-- schema: clinic
-- reason: filter-operator
SELECT COUNT(*) FROM town.visits WHERE referred = DATE '2026-01-11'
