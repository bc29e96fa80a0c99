-- schema: pilot
-- reason: filter-column
SELECT AVG(speed) FROM (SELECT speed FROM carmaker.trips WHERE vehicle <> 'v03') AS d
