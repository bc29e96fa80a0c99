-- schema: pilot
-- reason: hidden-column
WITH d AS (SELECT zone, vin AS zone2 FROM carmaker.trips) SELECT zone, COUNT(*) FROM d GROUP BY zone
