-- attack: HAVING tells whether a hidden mean is above a bound
-- reference: Kenthapadi, Mishra & Nissim, Simulatable auditing, PODS 2005
-- source: https://doi.org/10.1145/1065167.1065183
-- wants: the fare of v07, which is only in the fleet's books
-- succeeds: differs where 7331.25 is 50
-- stopped-by: answered
-- protection: HAVING sees groups that have passed the gate only
SELECT zone FROM fleet.jobs GROUP BY zone HAVING AVG(fare) > 7000 OR COUNT(*) > 10
