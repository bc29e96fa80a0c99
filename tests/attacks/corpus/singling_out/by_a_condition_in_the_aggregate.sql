-- attack: CASE inside the aggregate
-- reference: Article 29 Working Party, Opinion 05/2014 on anonymisation techniques, 2.2: singling out
-- source: https://ec.europa.eu/justice/article-29/documentation/opinion-recommendation/files/2014/wp216_en.pdf
-- wants: the fare of v07, which is only in the fleet's books
-- succeeds: shows 43987.5
-- stopped-by: filter-column
SELECT SUM(CASE WHEN vehicle = 'v07' THEN fare END) FROM fleet.jobs
