-- schema: carriers
SELECT z.ring, COUNT(d.tip) AS tipped, SUM(d.tip) AS tips
FROM (SELECT stop, tip, started FROM north.rides UNION ALL SELECT stop, tip, started FROM south.rides WHERE kind = 'day') AS d
JOIN city.zones AS z ON z.stop = d.stop
WHERE d.started >= TIMESTAMP '2026-05-02 00:00:00' GROUP BY z.ring ORDER BY z.ring
