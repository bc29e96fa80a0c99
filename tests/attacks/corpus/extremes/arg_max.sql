-- attack: The same by another name
-- reference: Kenthapadi, Mishra & Nissim, Simulatable auditing, PODS 2005
-- source: https://doi.org/10.1145/1065167.1065183
-- wants: the hidden driver of v07
-- succeeds: shows driver-07
-- stopped-by: aggregate-not-listed
SELECT ARG_MAX(driver, fare) FROM fleet.jobs
