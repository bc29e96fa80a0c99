-- attack: A number cut down in steps, step by step to the value
-- reference: Article 29 Working Party, Opinion 05/2014 on anonymisation techniques, 2.2: singling out
-- source: https://ec.europa.eu/justice/article-29/documentation/opinion-recommendation/files/2014/wp216_en.pdf
-- wants: the fare of v07, which is only in the fleet's books
-- succeeds: shows 7331
-- stopped-by: group-column
SELECT FLOOR(fare) AS f, COUNT(*) FROM fleet.jobs GROUP BY FLOOR(fare)
