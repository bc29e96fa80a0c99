-- schema: metro
-- reason: aggregate-not-permitted
SELECT line, MAX(fare) AS most FROM metro.rides GROUP BY line
