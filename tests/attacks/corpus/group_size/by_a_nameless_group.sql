-- attack: Blanks of many make one large group beside the victim's
-- reference: Machanavajjhala et al., l-diversity: privacy beyond k-anonymity, ACM TKDD 1(1), 2007
-- source: https://doi.org/10.1145/1217299.1217302
-- wants: the fare of v07, which is only in the fleet's books
-- succeeds: shows 7331.25
-- stopped-by: answered
-- protection: groups of too few units are left out
SELECT code, AVG(fare) AS y FROM fleet.jobs GROUP BY code
