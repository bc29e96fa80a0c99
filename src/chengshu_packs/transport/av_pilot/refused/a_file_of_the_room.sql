-- reason: table-function
SELECT count(*) AS n
FROM road_operator.detector_1min AS d
JOIN read_csv('/etc/passwd') AS f ON d.lane = f.lane
