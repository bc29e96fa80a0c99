-- attack: An alias that differs by a letter nobody sees
-- reference: Unicode Technical Report 36, security considerations
-- source: https://www.unicode.org/reports/tr36/
-- wants: the hidden driver of v07
-- succeeds: shows driver-07
-- stopped-by: hidden-column
WITH "zone" AS (SELECT zone FROM fleet.jobs), "zone​" AS (SELECT driver AS zone FROM fleet.jobs) SELECT zone, COUNT(*) FROM "zone​" GROUP BY zone
