-- schema: pilot
SELECT hour, MIN(wait) AS shortest, COUNT(wait) AS n FROM platform.requests WHERE NOT (hour > 8 OR hour IS NULL) GROUP BY hour
