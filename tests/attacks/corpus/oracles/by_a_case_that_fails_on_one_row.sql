-- attack: CASE divides by nothing for the victim alone, under an allowed condition
-- reference: Haeberlen, Pierce & Narayan, Differential privacy under fire, USENIX Security 2011
-- source: https://www.usenix.org/conference/usenix-security-11/differential-privacy-under-fire
-- wants: whether v07 is among the records
-- succeeds: differs without v07
-- stopped-by: conditional
SELECT SUM(CASE WHEN kind = 'night' THEN CAST(code AS INTEGER) ELSE 1 END) AS n FROM fleet.jobs
