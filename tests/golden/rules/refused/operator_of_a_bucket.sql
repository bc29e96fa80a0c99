-- schema: clinic
-- reason: filter-operator
SELECT COUNT(*) FROM town.visits WHERE EXTRACT(month FROM referred) = 1
