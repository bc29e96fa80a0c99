-- attack: A sample of one row, again and again
-- reference: Article 29 Working Party, Opinion 05/2014 on anonymisation techniques, 2.2: singling out
-- source: https://ec.europa.eu/justice/article-29/documentation/opinion-recommendation/files/2014/wp216_en.pdf
-- wants: some record of the fleet
-- succeeds: shows driver-
-- stopped-by: sampling
SELECT driver FROM fleet.jobs USING SAMPLE 1 ROWS
