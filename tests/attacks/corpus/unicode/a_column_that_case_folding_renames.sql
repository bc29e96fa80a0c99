-- attack: A column under a name that only Unicode's case folding makes that of another
-- reference: CWE-178, improper handling of case sensitivity
-- source: https://cwe.mitre.org/data/definitions/178.html
-- wants: the hidden driver of v07
-- succeeds: shows driver-07
-- stopped-by: not-understood
SELECT "Kind", COUNT(*) FROM (SELECT driver AS "Kind", kind FROM fleet.jobs) AS d GROUP BY "Kind"
