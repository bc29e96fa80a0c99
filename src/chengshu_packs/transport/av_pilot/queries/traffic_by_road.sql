-- How much traffic each road carries: loop counts by road section, the ten busiest.
SELECT m.edge_id, sum(d.veh_count) AS vehicles, avg(d.occupancy_pct) AS occupancy_pct
FROM road_operator.detector_1min AS d
JOIN road_operator.map_lane AS m ON d.lane = m.lane
GROUP BY m.edge_id
ORDER BY vehicles DESC, m.edge_id
LIMIT 10
