-- schema: pilot
-- reason: aggregate-not-listed
SELECT string_agg(zone, ',') FROM carmaker.trips
