-- schema: metro
-- reason: hidden-column
SELECT COUNT(operator) AS rides FROM metro.rides
