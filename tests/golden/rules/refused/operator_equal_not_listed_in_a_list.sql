-- schema: clinic
-- reason: filter-operator
SELECT COUNT(*) FROM town.visits WHERE referred IN (DATE '2026-01-11', DATE '2026-01-12')
