-- attack: Two names that only Unicode's case folding makes one: which of them is read?
-- reference: CWE-178, improper handling of case sensitivity
-- source: https://cwe.mitre.org/data/definitions/178.html
-- wants: the hidden driver of v07
-- succeeds: shows driver-07
-- stopped-by: not-understood
WITH k AS (SELECT zone FROM fleet.jobs), K AS (SELECT driver AS zone FROM fleet.jobs) SELECT zone, COUNT(*) FROM K GROUP BY zone
