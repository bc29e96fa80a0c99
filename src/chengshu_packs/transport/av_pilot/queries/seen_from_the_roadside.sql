-- What the roadside units see, by kind of road user.
SELECT ptc_type, count(*) AS sightings, avg(speed_mps) AS speed_mps
FROM road_operator.rsu_objects
GROUP BY ptc_type
ORDER BY ptc_type
