-- schema: pilot
SELECT COUNT(DISTINCT vehicle) AS vehicles, COUNT(*) AS trips FROM carmaker.trips
