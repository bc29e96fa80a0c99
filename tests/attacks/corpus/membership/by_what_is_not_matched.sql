-- attack: Who on one's own list has no partner
-- reference: Homer et al., Resolving individuals contributing trace amounts of DNA to highly complex mixtures, PLoS Genetics 4(8), 2008
-- source: https://doi.org/10.1371/journal.pgen.1000167
-- wants: whether v07 is among the records
-- succeeds: differs without v07
-- stopped-by: join-kind
SELECT COUNT(*) AS n FROM asker.notes m ANTI JOIN fleet.jobs j ON m.vehicle = j.vehicle
