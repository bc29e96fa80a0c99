-- attack: The number of rows beyond a limit tells what was left out
-- reference: Kenthapadi, Mishra & Nissim, Simulatable auditing, PODS 2005
-- source: https://doi.org/10.1145/1065167.1065183
-- wants: the fare of v07, which is only in the fleet's books
-- succeeds: differs where 7331.25 is 50
-- stopped-by: answered
-- protection: order and limit see groups that have passed the gate only
SELECT zone FROM fleet.jobs GROUP BY zone ORDER BY AVG(fare) DESC LIMIT 2
