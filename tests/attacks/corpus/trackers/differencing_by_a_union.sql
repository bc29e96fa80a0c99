-- attack: A total over two parts that miss the victim
-- reference: Dobkin, Jones & Lipton, Secure databases: protection against user influence, ACM TODS 4(1), 1979
-- source: https://doi.org/10.1145/320064.320068
-- wants: the fare of v07, which is only in the fleet's books
-- succeeds: adds up +1 -2 = 43987.5
-- stopped-by: answered, set-operation
SELECT SUM(fare) AS s FROM fleet.jobs
-- then
SELECT SUM(fare) AS s FROM (SELECT fare FROM fleet.jobs WHERE zone = 'east' UNION ALL SELECT fare FROM fleet.jobs WHERE zone = 'west') AS d
