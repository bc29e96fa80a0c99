-- attack: The median of a filtered group
-- reference: Nissim, Raskhodnikova & Smith, Smooth sensitivity and sampling in private data analysis, STOC 2007
-- source: https://doi.org/10.1145/1250790.1250803
-- wants: the fare of v07, which is only in the fleet's books
-- succeeds: shows 7331.25
-- stopped-by: aggregate-filter
SELECT MEDIAN(fare) FILTER (WHERE hour > 22) FROM fleet.jobs
