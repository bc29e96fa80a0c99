-- attack: A name with an order mark, which is shown as another than it is
-- reference: Unicode Technical Report 36, security considerations
-- source: https://www.unicode.org/reports/tr36/
-- wants: the hidden driver of v07
-- succeeds: shows driver-07
-- stopped-by: hidden-column
SELECT driver AS "‮enoz", COUNT(*) FROM fleet.jobs GROUP BY driver
