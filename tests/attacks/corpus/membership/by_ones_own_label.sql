-- attack: One's own list with a label for the victim alone
-- reference: Homer et al., Resolving individuals contributing trace amounts of DNA to highly complex mixtures, PLoS Genetics 4(8), 2008
-- source: https://doi.org/10.1371/journal.pgen.1000167
-- wants: whether v07 is among the records
-- succeeds: differs without v07
-- stopped-by: group-too-small
SELECT COUNT(DISTINCT j.vehicle) AS n FROM fleet.jobs j JOIN asker.notes m ON j.vehicle = m.vehicle WHERE m.label = 'it'
