-- schema: pilot
-- reason: window
SELECT SUM(speed) OVER (ORDER BY started ROWS 1 PRECEDING) FROM carmaker.trips
