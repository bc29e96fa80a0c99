-- schema: pilot
-- reason: group-column
SELECT CASE WHEN weather = 'rain' THEN 'wet' ELSE 'dry' END AS w, COUNT(*) FROM carmaker.trips GROUP BY w
