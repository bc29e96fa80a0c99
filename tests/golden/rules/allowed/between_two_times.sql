-- schema: pilot
SELECT COUNT(*) AS n FROM carmaker.trips WHERE started BETWEEN TIMESTAMP '2026-03-01 08:00:00' AND '2026-03-02 20:00:00' AND automated
