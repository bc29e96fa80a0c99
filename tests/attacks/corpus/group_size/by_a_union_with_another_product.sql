-- attack: The victim's records beside many of a product of one's own, in one group
-- reference: Machanavajjhala et al., l-diversity: privacy beyond k-anonymity, ACM TKDD 1(1), 2007
-- source: https://doi.org/10.1145/1217299.1217302
-- wants: whether v07 is among the records
-- succeeds: differs without v07
-- stopped-by: group-too-small
SELECT COUNT(*) AS n FROM (SELECT vehicle FROM fleet.jobs WHERE kind = 'night' UNION ALL SELECT vehicle FROM asker.notes) AS d
