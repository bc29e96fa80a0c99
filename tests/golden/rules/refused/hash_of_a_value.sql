-- schema: pilot
-- reason: function-not-listed
SELECT md5(zone), COUNT(*) FROM carmaker.trips GROUP BY md5(zone)
