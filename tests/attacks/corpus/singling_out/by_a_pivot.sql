-- attack: PIVOT by the key
-- reference: Article 29 Working Party, Opinion 05/2014 on anonymisation techniques, 2.2: singling out
-- source: https://ec.europa.eu/justice/article-29/documentation/opinion-recommendation/files/2014/wp216_en.pdf
-- wants: the fare of v07, which is only in the fleet's books
-- succeeds: shows 7331.25
-- stopped-by: only-select
PIVOT fleet.jobs ON zone USING AVG(fare)
