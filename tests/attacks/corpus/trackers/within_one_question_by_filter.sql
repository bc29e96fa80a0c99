-- attack: The difference of two sums of one question, one of which leaves the victim out
-- reference: Dobkin, Jones & Lipton, Secure databases: protection against user influence, ACM TODS 4(1), 1979
-- source: https://doi.org/10.1145/320064.320068
-- wants: the fare of v07, which is only in the fleet's books
-- succeeds: shows 43987.5
-- stopped-by: group-too-small
SELECT SUM(fare) - SUM(fare) FILTER (WHERE kind <> 'night') AS s FROM fleet.jobs
