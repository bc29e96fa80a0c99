-- schema: pilot
/* ; DROP TABLE x */ SELECT "ZONE" AS "z;--", count(*) AS n -- ; SELECT vin
FROM CarMaker.Trips WHERE Zone = 'old-town' GROUP BY zone;
