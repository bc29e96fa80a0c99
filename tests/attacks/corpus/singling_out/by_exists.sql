-- attack: EXISTS with a condition on the key
-- reference: Article 29 Working Party, Opinion 05/2014 on anonymisation techniques, 2.2: singling out
-- source: https://ec.europa.eu/justice/article-29/documentation/opinion-recommendation/files/2014/wp216_en.pdf
-- wants: whether v07 is among the records
-- succeeds: differs without v07
-- stopped-by: sub-query
SELECT COUNT(*) AS n FROM toll.gates WHERE EXISTS (SELECT 1 FROM fleet.jobs WHERE vehicle = 'v07')
