-- attack: A hidden column under a name that looks like an allowed one
-- reference: Unicode Technical Standard 39, security mechanisms: confusables
-- source: https://www.unicode.org/reports/tr39/
-- wants: the hidden driver of v07
-- succeeds: shows driver-07
-- stopped-by: hidden-column
SELECT driver AS zоne, COUNT(*) FROM fleet.jobs GROUP BY driver
