-- attack: One's own list with a power of four for each vehicle: the digits of the sum name who is there
-- reference: Homer et al., Resolving individuals contributing trace amounts of DNA to highly complex mixtures, PLoS Genetics 4(8), 2008
-- source: https://doi.org/10.1371/journal.pgen.1000167
-- wants: whether v07 is among the records
-- succeeds: differs without v07
-- stopped-by: joined-value
SELECT SUM(m.weight) AS s FROM fleet.jobs j JOIN asker.notes m ON j.vehicle = m.vehicle
