-- attack: OFFSET counts the groups that were left out
-- reference: Kenthapadi, Mishra & Nissim, Simulatable auditing, PODS 2005
-- source: https://doi.org/10.1145/1065167.1065183
-- wants: whether v07 is among the records
-- succeeds: differs without v07
-- stopped-by: answered
-- protection: limit and offset see groups that have passed the gate only
SELECT zone FROM fleet.jobs GROUP BY zone ORDER BY zone OFFSET 2
