-- attack: A product that is too large only with the victim's value in it
-- reference: Haeberlen, Pierce & Narayan, Differential privacy under fire, USENIX Security 2011
-- source: https://www.usenix.org/conference/usenix-security-11/differential-privacy-under-fire
-- wants: whether v07 is among the records
-- succeeds: differs without v07
-- stopped-by: cast
SELECT SUM(CAST(fare AS INTEGER) * 1000000) AS n FROM fleet.jobs
