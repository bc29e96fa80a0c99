-- attack: The victim's group taken away after the total
-- reference: Dobkin, Jones & Lipton, Secure databases: protection against user influence, ACM TODS 4(1), 1979
-- source: https://doi.org/10.1145/320064.320068
-- wants: the fare of v07, which is only in the fleet's books
-- succeeds: adds up +1 -2 = 43987.5
-- stopped-by: answered, nested-aggregate
SELECT SUM(fare) AS s FROM fleet.jobs
-- then
SELECT SUM(s) FROM (SELECT zone, SUM(fare) AS s FROM fleet.jobs GROUP BY zone HAVING COUNT(DISTINCT vehicle) > 1) AS d
