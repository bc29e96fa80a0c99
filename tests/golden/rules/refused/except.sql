-- schema: pilot
-- reason: set-operation
SELECT zone, COUNT(*) FROM carmaker.trips GROUP BY zone EXCEPT SELECT zone, COUNT(*) FROM carmaker.trips GROUP BY zone
