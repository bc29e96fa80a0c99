-- attack: A common table whose name looks like a product's
-- reference: Unicode Technical Standard 39, security mechanisms: confusables
-- source: https://www.unicode.org/reports/tr39/
-- wants: the hidden driver of v07
-- succeeds: shows driver-07
-- stopped-by: hidden-column
WITH jоbs AS (SELECT driver AS zone FROM fleet.jobs) SELECT zone, COUNT(*) FROM jоbs GROUP BY zone
