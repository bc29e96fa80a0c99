-- attack: A hidden value spelled out by LIKE
-- reference: Article 29 Working Party, Opinion 05/2014 on anonymisation techniques, 2.2: singling out
-- source: https://ec.europa.eu/justice/article-29/documentation/opinion-recommendation/files/2014/wp216_en.pdf
-- wants: the hidden driver of v07
-- succeeds: differs without v07
-- stopped-by: pattern
SELECT COUNT(*) AS n FROM fleet.jobs WHERE driver LIKE 'driver-07%'
