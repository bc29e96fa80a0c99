-- attack: The least name on one's own list that has a partner
-- reference: Homer et al., Resolving individuals contributing trace amounts of DNA to highly complex mixtures, PLoS Genetics 4(8), 2008
-- source: https://doi.org/10.1371/journal.pgen.1000167
-- wants: whether v07 is among the records
-- succeeds: differs without v07
-- stopped-by: joined-value
SELECT MIN(m.label) AS x FROM fleet.jobs j JOIN asker.notes m ON j.vehicle = m.vehicle
