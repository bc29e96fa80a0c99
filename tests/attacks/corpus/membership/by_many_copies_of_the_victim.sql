-- attack: A product in which the victim stands many times, so that its group is large
-- reference: Homer et al., Resolving individuals contributing trace amounts of DNA to highly complex mixtures, PLoS Genetics 4(8), 2008
-- source: https://doi.org/10.1371/journal.pgen.1000167
-- wants: the fare of v07, which is only in the fleet's books
-- succeeds: shows 7331.25
-- stopped-by: group-too-small
SELECT g.gate, AVG(j.fare) AS y FROM toll.gates g JOIN fleet.jobs j ON g.vehicle = j.vehicle WHERE g.gate = 'g1' GROUP BY g.gate
