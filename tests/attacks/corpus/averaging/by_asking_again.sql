-- attack: The same question many times, to average the noise away
-- reference: Gadotti et al., When the signal is in the noise: exploiting Diffix's sticky noise, USENIX Security 2019
-- source: https://www.usenix.org/conference/usenixsecurity19/presentation/gadotti
-- wants: the exact number of vehicles, and so whether one of them is there
-- succeeds: answers differ
-- stopped-by: answered|group-too-small
-- protection: the same question gets the numbers that were released before
-- rho: 0.01
SELECT COUNT(DISTINCT vehicle) AS n FROM fleet.jobs WHERE hour >= 5
-- then
SELECT COUNT(DISTINCT vehicle) AS n FROM fleet.jobs WHERE hour >= 5
-- then
SELECT COUNT(DISTINCT vehicle) AS n FROM fleet.jobs WHERE hour >= 5
-- then
SELECT COUNT(DISTINCT vehicle) AS n FROM fleet.jobs WHERE hour >= 5
-- then
SELECT COUNT(DISTINCT vehicle) AS n FROM fleet.jobs WHERE hour >= 5
-- then
SELECT COUNT(DISTINCT vehicle) AS n FROM fleet.jobs WHERE hour >= 5
-- then
SELECT COUNT(DISTINCT vehicle) AS n FROM fleet.jobs WHERE hour >= 5
-- then
SELECT COUNT(DISTINCT vehicle) AS n FROM fleet.jobs WHERE hour >= 5
