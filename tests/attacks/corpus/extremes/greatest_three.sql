-- attack: The greatest three
-- reference: Kenthapadi, Mishra & Nissim, Simulatable auditing, PODS 2005
-- source: https://doi.org/10.1145/1065167.1065183
-- wants: the fare of v07, which is only in the fleet's books
-- succeeds: shows 7331.25
-- stopped-by: not-understood
SELECT MAX(fare, 3) FROM fleet.jobs
