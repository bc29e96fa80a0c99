-- schema: pilot
-- reason: set-operation
SELECT COUNT(*) FROM (SELECT zone FROM carmaker.trips UNION SELECT zone FROM carmaker.trips) AS d
