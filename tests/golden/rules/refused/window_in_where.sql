-- schema: trade
-- reason: window
SELECT zone, COUNT(*) FROM town.shops WHERE ROW_NUMBER() OVER (ORDER BY zone) = 1 GROUP BY zone
