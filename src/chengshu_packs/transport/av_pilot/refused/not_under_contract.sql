-- reason: no-agreement
SELECT count(*) AS claims
FROM road_operator.detector_1min AS d
JOIN insurer.claims AS c ON d.lane = c.lane
