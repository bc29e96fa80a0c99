-- schema: clinic
-- reason: filter-operator
SELECT COUNT(*) FILTER (WHERE ward >= 'north') FROM town.visits
