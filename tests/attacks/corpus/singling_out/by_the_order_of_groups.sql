-- attack: The least group first, one row of it
-- reference: Article 29 Working Party, Opinion 05/2014 on anonymisation techniques, 2.2: singling out
-- source: https://ec.europa.eu/justice/article-29/documentation/opinion-recommendation/files/2014/wp216_en.pdf
-- wants: the fare of v07, which is only in the fleet's books
-- succeeds: shows 7331.25
-- stopped-by: answered
-- protection: order and limit are done on groups that have passed the gate
SELECT zone, AVG(fare) AS y FROM fleet.jobs GROUP BY zone ORDER BY COUNT(DISTINCT vehicle) LIMIT 1
