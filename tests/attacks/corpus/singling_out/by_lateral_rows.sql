-- attack: A lateral sub-query of the victim
-- reference: Article 29 Working Party, Opinion 05/2014 on anonymisation techniques, 2.2: singling out
-- source: https://ec.europa.eu/justice/article-29/documentation/opinion-recommendation/files/2014/wp216_en.pdf
-- wants: the fare of v07, which is only in the fleet's books
-- succeeds: shows 7331.25
-- stopped-by: table-function
SELECT d.fare FROM toll.gates g, LATERAL (SELECT fare FROM fleet.jobs j WHERE j.vehicle = g.vehicle) AS d WHERE g.gate = 'g1'
