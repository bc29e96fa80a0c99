-- attack: One question with other orders, limits and names
-- reference: Gadotti et al., When the signal is in the noise: exploiting Diffix's sticky noise, USENIX Security 2019
-- source: https://www.usenix.org/conference/usenixsecurity19/presentation/gadotti
-- wants: the exact number of vehicles, and so whether one of them is there
-- succeeds: answers differ
-- stopped-by: answered|group-too-small
-- protection: order, limit, names and HAVING are applied to the numbers that were released before
-- rho: 0.01
SELECT COUNT(DISTINCT vehicle) AS n FROM fleet.jobs ORDER BY n
-- then
SELECT COUNT(DISTINCT vehicle) AS m FROM fleet.jobs LIMIT 5
-- then
SELECT COUNT(DISTINCT vehicle) AS n FROM fleet.jobs HAVING COUNT(DISTINCT vehicle) > -1000
