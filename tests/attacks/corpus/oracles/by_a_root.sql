-- attack: The root of a number that is negative for the victim alone
-- reference: Haeberlen, Pierce & Narayan, Differential privacy under fire, USENIX Security 2011
-- source: https://www.usenix.org/conference/usenix-security-11/differential-privacy-under-fire
-- wants: whether v07 is among the records
-- succeeds: differs without v07
-- stopped-by: function-not-listed
SELECT SUM(SQRT(7000 - fare)) AS n FROM fleet.jobs
