-- attack: IN with one's own list
-- reference: Homer et al., Resolving individuals contributing trace amounts of DNA to highly complex mixtures, PLoS Genetics 4(8), 2008
-- source: https://doi.org/10.1371/journal.pgen.1000167
-- wants: whether v07 is among the records
-- succeeds: differs without v07
-- stopped-by: sub-query
SELECT COUNT(*) AS n FROM fleet.jobs WHERE vehicle IN (SELECT vehicle FROM asker.notes WHERE label = 'it')
