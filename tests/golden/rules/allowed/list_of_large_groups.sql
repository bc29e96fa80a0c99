-- schema: pilot
SELECT zone FROM carmaker.trips GROUP BY zone
