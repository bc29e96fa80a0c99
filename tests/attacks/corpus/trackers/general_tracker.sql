-- attack: General tracker T: q(C OR T) + q(C OR NOT T) - q(T) - q(NOT T)
-- reference: Denning, Denning & Schwartz, The tracker: a threat to statistical database security, ACM TODS 4(1), 1979
-- source: https://doi.org/10.1145/320064.320069
-- wants: the fare of v07, which is only in the fleet's books
-- succeeds: adds up +1 +2 -3 -4 = 43987.5
-- stopped-by: answered, answered, differencing, differencing
SELECT SUM(fare) AS s FROM fleet.jobs WHERE kind = 'night' OR hour < 10
-- then
SELECT SUM(fare) AS s FROM fleet.jobs WHERE kind = 'night' OR NOT hour < 10
-- then
SELECT SUM(fare) AS s FROM fleet.jobs WHERE hour < 10
-- then
SELECT SUM(fare) AS s FROM fleet.jobs WHERE NOT hour < 10
