-- attack: Different values of the fleet's vehicles and of one vehicle together: no more than without it, so it is there
-- reference: Homer et al., Resolving individuals contributing trace amounts of DNA to highly complex mixtures, PLoS Genetics 4(8), 2008
-- source: https://doi.org/10.1371/journal.pgen.1000167
-- wants: whether v07 is among the records
-- succeeds: adds up +2 = 24
-- stopped-by: answered, union-column
SELECT COUNT(DISTINCT vehicle) AS n FROM fleet.jobs
-- then
SELECT COUNT(DISTINCT vehicle) AS n FROM (SELECT vehicle FROM fleet.jobs UNION ALL SELECT vehicle FROM toll.gates WHERE gate = 'g1') AS d
