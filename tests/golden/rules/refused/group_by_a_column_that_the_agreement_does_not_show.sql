-- schema: metro
-- reason: group-column
SELECT ticket, COUNT(*) AS rides FROM metro.rides GROUP BY ticket
