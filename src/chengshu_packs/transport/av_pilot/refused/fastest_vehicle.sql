-- reason: aggregate-not-permitted
SELECT max(speed_mps) AS fastest FROM car_maker.av_state
