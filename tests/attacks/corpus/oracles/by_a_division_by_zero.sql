-- attack: Dividing by a difference that is nothing for the victim alone
-- reference: Haeberlen, Pierce & Narayan, Differential privacy under fire, USENIX Security 2011
-- source: https://www.usenix.org/conference/usenix-security-11/differential-privacy-under-fire
-- wants: whether v07 is among the records
-- succeeds: differs without v07
-- stopped-by: aggregate-not-permitted
SELECT COUNT(*) - COUNT(1 / NULLIF(fare - 7331.25, 0)) AS n FROM fleet.jobs
