-- reason: hidden-column
SELECT avg(lat_e7) AS lat, avg(lon_e7) AS lon FROM car_maker.av_state
