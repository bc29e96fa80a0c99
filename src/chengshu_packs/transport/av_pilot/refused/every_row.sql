-- reason: raw-rows
SELECT speed_mps FROM car_maker.av_state WHERE t_ms > 1781503200000
