-- attack: A group by the key under a group's name
-- reference: Article 29 Working Party, Opinion 05/2014 on anonymisation techniques, 2.2: singling out
-- source: https://ec.europa.eu/justice/article-29/documentation/opinion-recommendation/files/2014/wp216_en.pdf
-- wants: the fare of v07, which is only in the fleet's books
-- succeeds: shows 7331.25
-- stopped-by: group-column
SELECT zone, AVG(fare) AS y FROM (SELECT vehicle AS zone, fare FROM fleet.jobs) AS d GROUP BY zone
