-- schema: pilot
-- reason: not-understood
SELECT COUNT(a.b.c.d) FROM carmaker.trips
