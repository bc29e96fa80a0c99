-- attack: An error on the victim's row alone: whether it fails tells whether it is there
-- reference: Haeberlen, Pierce & Narayan, Differential privacy under fire, USENIX Security 2011
-- source: https://www.usenix.org/conference/usenix-security-11/differential-privacy-under-fire
-- wants: whether v07 is among the records
-- succeeds: differs without v07
-- stopped-by: conditional
SELECT COUNT(CASE WHEN fare > 7000 THEN error('x') END) AS n FROM fleet.jobs
