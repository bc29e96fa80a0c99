-- attack: A part of the text as a group
-- reference: Article 29 Working Party, Opinion 05/2014 on anonymisation techniques, 2.2: singling out
-- source: https://ec.europa.eu/justice/article-29/documentation/opinion-recommendation/files/2014/wp216_en.pdf
-- wants: the code of v07
-- succeeds: shows code
-- stopped-by: pattern
SELECT regexp_extract(code, '[a-z]+$') AS c, COUNT(*) FROM fleet.jobs GROUP BY 1
