-- attack: The hidden column as a field of the row
-- reference: Article 29 Working Party, Opinion 05/2014 on anonymisation techniques, 2.2: singling out
-- source: https://ec.europa.eu/justice/article-29/documentation/opinion-recommendation/files/2014/wp216_en.pdf
-- wants: the hidden driver of v07
-- succeeds: shows driver-07
-- stopped-by: hidden-column
SELECT d.driver FROM fleet.jobs AS d
