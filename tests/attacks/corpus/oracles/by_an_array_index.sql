-- attack: A list's element by the victim's value
-- reference: Haeberlen, Pierce & Narayan, Differential privacy under fire, USENIX Security 2011
-- source: https://www.usenix.org/conference/usenix-security-11/differential-privacy-under-fire
-- wants: the fare of v07, which is only in the fleet's books
-- succeeds: shows 7331
-- stopped-by: cast
SELECT MAX(list_extract(range(10000), CAST(fare AS BIGINT) + 1)) AS n FROM fleet.jobs
