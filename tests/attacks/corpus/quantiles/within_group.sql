-- attack: The standard's own spelling
-- reference: Nissim, Raskhodnikova & Smith, Smooth sensitivity and sampling in private data analysis, STOC 2007
-- source: https://doi.org/10.1145/1250790.1250803
-- wants: the fare of v07, which is only in the fleet's books
-- succeeds: shows 7331.25
-- stopped-by: aggregate-filter
SELECT PERCENTILE_CONT(1) WITHIN GROUP (ORDER BY fare) FROM fleet.jobs
