-- How the automated vehicles drive, by control mode and software.
SELECT control_mode, sw_version, count(*) AS states, avg(speed_mps) AS speed_mps, avg(accel_lon_mps2) AS accel_mps2
FROM car_maker.av_state
GROUP BY control_mode, sw_version
ORDER BY control_mode, sw_version
