-- attack: A total, and a group by CASE that leaves the victim out
-- reference: Dobkin, Jones & Lipton, Secure databases: protection against user influence, ACM TODS 4(1), 1979
-- source: https://doi.org/10.1145/320064.320068
-- wants: the fare of v07, which is only in the fleet's books
-- succeeds: adds up +1 -2 = 43987.5
-- stopped-by: answered, group-column
SELECT SUM(fare) AS s FROM fleet.jobs
-- then
SELECT CASE WHEN kind = 'night' THEN 'n' ELSE 'd' END AS g, SUM(fare) AS s FROM fleet.jobs GROUP BY 1 ORDER BY g LIMIT 1
