-- schema: trade
-- reason: window
SELECT ROW_NUMBER() OVER (ORDER BY zone) FROM town.shops
