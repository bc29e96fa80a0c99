-- attack: The greatest value, asked for bit by bit
-- reference: Kenthapadi, Mishra & Nissim, Simulatable auditing, PODS 2005
-- source: https://doi.org/10.1145/1065167.1065183
-- wants: the fare of v07, which is only in the fleet's books
-- succeeds: differs where 7331.25 is 50
-- stopped-by: aggregate-not-permitted
SELECT COUNT(*) AS n FROM fleet.jobs HAVING MAX(fare) > 7000
