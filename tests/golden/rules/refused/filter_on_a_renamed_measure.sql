-- schema: pilot
-- reason: filter-column
SELECT COUNT(*) FROM (SELECT speed AS zone FROM carmaker.trips) AS d WHERE zone > 39
