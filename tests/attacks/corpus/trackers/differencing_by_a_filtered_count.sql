-- attack: A count, and the same count filtered
-- reference: Dobkin, Jones & Lipton, Secure databases: protection against user influence, ACM TODS 4(1), 1979
-- source: https://doi.org/10.1145/320064.320068
-- wants: how many jobs v07 had
-- succeeds: shows 6
-- stopped-by: group-too-small
SELECT COUNT(*) - COUNT(*) FILTER (WHERE hour < 23) AS n FROM fleet.jobs
