-- How fast traffic moves where at least five navigation users drove: the ten slowest sections.
SELECT edge_id, avg(speed_mps) AS speed_mps, sum(n_probes) AS probes
FROM navigation_platform.link_speed
GROUP BY edge_id
ORDER BY speed_mps, edge_id
LIMIT 10
