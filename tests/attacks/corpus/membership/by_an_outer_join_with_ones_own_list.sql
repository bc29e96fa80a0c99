-- attack: One's own list, joined to see who has a partner
-- reference: Homer et al., Resolving individuals contributing trace amounts of DNA to highly complex mixtures, PLoS Genetics 4(8), 2008
-- source: https://doi.org/10.1371/journal.pgen.1000167
-- wants: whether v07 is among the records
-- succeeds: differs without v07
-- stopped-by: group-too-small
SELECT m.label, COUNT(j.fare) AS n FROM asker.notes m LEFT JOIN fleet.jobs j ON m.vehicle = j.vehicle WHERE m.label = 'it' GROUP BY m.label
