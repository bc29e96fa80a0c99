-- schema: pilot
-- reason: window
SELECT zone, COUNT(*) FROM carmaker.trips GROUP BY zone QUALIFY ROW_NUMBER() OVER () = 1
