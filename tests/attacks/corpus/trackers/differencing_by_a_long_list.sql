-- attack: Everybody by a list of hours that leaves one out
-- reference: Dobkin, Jones & Lipton, Secure databases: protection against user influence, ACM TODS 4(1), 1979
-- source: https://doi.org/10.1145/320064.320068
-- wants: the fare of v07, which is only in the fleet's books
-- succeeds: adds up +1 -2 = 43987.5
-- stopped-by: answered, differencing
SELECT SUM(fare) AS s FROM fleet.jobs WHERE hour IN (0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,23)
-- then
SELECT SUM(fare) AS s FROM fleet.jobs WHERE hour IN (0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19)
