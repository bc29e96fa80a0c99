-- schema: pilot
-- reason: table-function
SELECT COUNT(*) FROM carmaker.trips, UNNEST([1, 2])
