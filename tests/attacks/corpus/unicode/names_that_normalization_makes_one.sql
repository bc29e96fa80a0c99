-- attack: Two names that normalization makes one
-- reference: Unicode Standard Annex 15, normalization forms
-- source: https://www.unicode.org/reports/tr15/
-- wants: the hidden driver of v07
-- succeeds: shows driver-07
-- stopped-by: hidden-column
SELECT "café", COUNT(*) FROM (SELECT zone AS "café", driver AS "café" FROM fleet.jobs) AS d GROUP BY "café"
