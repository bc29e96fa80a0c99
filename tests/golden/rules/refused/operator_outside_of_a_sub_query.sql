-- schema: clinic
-- reason: filter-operator
SELECT COUNT(*) FROM (SELECT ward AS w FROM town.visits) AS v WHERE w <> 'north' OR w < 'n'
