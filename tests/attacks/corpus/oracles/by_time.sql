-- attack: Long work on the victim's row alone
-- reference: Haeberlen, Pierce & Narayan, Differential privacy under fire, USENIX Security 2011
-- source: https://www.usenix.org/conference/usenix-security-11/differential-privacy-under-fire
-- wants: whether v07 is among the records
-- succeeds: exhausts
-- stopped-by: table-function
SELECT COUNT(CASE WHEN kind = 'night' THEN (SELECT SUM(sin(a.range) * b.range) FROM range(100000) a, range(100000) b WHERE a.range % 7 = hour % 7) END) AS n FROM fleet.jobs
