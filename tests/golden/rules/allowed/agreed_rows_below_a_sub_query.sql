-- schema: metro
SELECT COUNT(*) AS rides FROM (SELECT line FROM metro.rides WHERE ticket = 'day') AS r WHERE line <> 'L3'
