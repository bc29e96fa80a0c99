-- reason: group-column
SELECT veh_pid, avg(speed_mps) AS speed_mps FROM car_maker.av_state GROUP BY veh_pid
