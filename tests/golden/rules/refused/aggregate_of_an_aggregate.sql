-- schema: pilot
-- reason: nested-aggregate
SELECT SUM(COUNT(*)) FROM carmaker.trips
