-- schema: clinic
SELECT ward, COUNT(*) AS n, SUM(days) AS days FROM town.visits WHERE age BETWEEN 30 AND 70 AND NOT (ward = 'east') AND referred IS NOT NULL GROUP BY ward ORDER BY ward
