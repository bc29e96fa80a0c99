-- schema: clinic
-- reason: filter-operator
SELECT COUNT(*) FROM town.visits WHERE NOT urgent
