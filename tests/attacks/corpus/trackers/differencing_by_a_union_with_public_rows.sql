-- attack: All jobs, and all but the victim's beside public rows whose number is known
-- reference: Dobkin, Jones & Lipton, Secure databases: protection against user influence, ACM TODS 4(1), 1979
-- source: https://doi.org/10.1145/320064.320068
-- wants: how many jobs v07 did by night
-- succeeds: adds up +1 -2 = -27
-- stopped-by: answered, differencing
SELECT COUNT(*) AS n FROM fleet.jobs
-- then
SELECT COUNT(*) AS n FROM (SELECT vehicle FROM fleet.jobs WHERE NOT kind = 'night' UNION ALL SELECT vehicle FROM toll.gates) AS d
