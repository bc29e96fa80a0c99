-- attack: A large group in which a join has left a value to the victim alone
-- reference: Machanavajjhala et al., l-diversity: privacy beyond k-anonymity, ACM TKDD 1(1), 2007
-- source: https://doi.org/10.1145/1217299.1217302
-- wants: the fare of v07, which is only in the fleet's books
-- succeeds: shows 7331.25
-- stopped-by: group-too-small
SELECT AVG(j.fare) AS y FROM asker.notes m LEFT JOIN (SELECT vehicle, fare FROM fleet.jobs WHERE kind = 'night') AS j ON m.vehicle = j.vehicle
