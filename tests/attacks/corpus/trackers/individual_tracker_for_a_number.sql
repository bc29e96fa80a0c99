-- attack: Individual tracker for a count
-- reference: Denning, Denning & Schwartz, The tracker: a threat to statistical database security, ACM TODS 4(1), 1979
-- source: https://doi.org/10.1145/320064.320069
-- wants: how many jobs v07 had
-- succeeds: adds up +1 -2 = 6
-- stopped-by: answered, differencing
SELECT COUNT(*) AS n FROM fleet.jobs
-- then
SELECT COUNT(*) AS n FROM fleet.jobs WHERE hour < 23
