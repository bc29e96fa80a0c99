-- schema: pilot
-- reason: filter-column
SELECT AVG(speed) FROM carmaker.trips WHERE vehicle = 'v03'
