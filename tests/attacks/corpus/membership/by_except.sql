-- attack: What is on one's own list and not among the jobs
-- reference: Homer et al., Resolving individuals contributing trace amounts of DNA to highly complex mixtures, PLoS Genetics 4(8), 2008
-- source: https://doi.org/10.1371/journal.pgen.1000167
-- wants: whether v07 is among the records
-- succeeds: differs without v07
-- stopped-by: set-operation
SELECT vehicle FROM asker.notes EXCEPT SELECT vehicle FROM fleet.jobs
