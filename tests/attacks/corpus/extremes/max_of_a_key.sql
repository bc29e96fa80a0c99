-- attack: The greatest key
-- reference: Kenthapadi, Mishra & Nissim, Simulatable auditing, PODS 2005
-- source: https://doi.org/10.1145/1065167.1065183
-- wants: a key that exists
-- succeeds: shows v23
-- stopped-by: aggregate-not-permitted
SELECT MAX(vehicle) FROM fleet.jobs
