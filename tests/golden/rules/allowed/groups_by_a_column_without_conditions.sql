-- schema: clinic
SELECT triage, COUNT(*) AS n, SUM(days) AS days FROM town.visits GROUP BY triage ORDER BY triage
