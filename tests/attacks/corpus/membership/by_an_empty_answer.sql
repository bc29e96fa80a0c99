-- attack: Nobody and somebody told apart by an empty answer
-- reference: Homer et al., Resolving individuals contributing trace amounts of DNA to highly complex mixtures, PLoS Genetics 4(8), 2008
-- source: https://doi.org/10.1371/journal.pgen.1000167
-- wants: whether v07 is among the records
-- succeeds: differs without v07
-- stopped-by: group-too-small
SELECT zone, COUNT(*) AS n FROM fleet.jobs WHERE kind = 'night' GROUP BY zone
