-- reason: group-too-small
SELECT count(*) AS states, avg(speed_mps) AS speed_mps
FROM car_maker.av_state
WHERE sw_version = '4.1.9' AND t_ms = 1781503260000
