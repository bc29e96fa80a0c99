-- reason: one-statement
SELECT count(*) AS n FROM road_operator.detector_1min; SELECT 1
