-- attack: A group that is there only if the victim is
-- reference: Homer et al., Resolving individuals contributing trace amounts of DNA to highly complex mixtures, PLoS Genetics 4(8), 2008
-- source: https://doi.org/10.1371/journal.pgen.1000167
-- wants: whether v07 is among the records
-- succeeds: differs without v07
-- stopped-by: answered
-- protection: a group that does not pass is not there, as if it did not exist
SELECT zone, COUNT(DISTINCT vehicle) AS n FROM fleet.jobs GROUP BY zone
