-- attack: Individual tracker C = A AND B: q(A) - q(A AND NOT B)
-- reference: Denning, Denning & Schwartz, The tracker: a threat to statistical database security, ACM TODS 4(1), 1979
-- source: https://doi.org/10.1145/320064.320069
-- wants: the fare of v07, which is only in the fleet's books
-- succeeds: adds up +1 -2 = 43987.5
-- stopped-by: answered, differencing
SELECT SUM(fare) AS s FROM fleet.jobs WHERE hour > 4
-- then
SELECT SUM(fare) AS s FROM fleet.jobs WHERE hour > 4 AND NOT kind = 'night'
