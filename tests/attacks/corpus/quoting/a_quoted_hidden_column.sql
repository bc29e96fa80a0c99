-- attack: A hidden column in quotes and other letters
-- reference: CWE-178, improper handling of case sensitivity
-- source: https://cwe.mitre.org/data/definitions/178.html
-- wants: the hidden driver of v07
-- succeeds: shows driver-07
-- stopped-by: hidden-column
SELECT "DRIVER", COUNT(*) FROM fleet.jobs GROUP BY "driver"
