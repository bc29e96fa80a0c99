-- schema: clinic
-- reason: filter-operator
SELECT COUNT(*) FROM town.visits WHERE age > 40 AND NOT (ward BETWEEN 'a' AND 'n')
