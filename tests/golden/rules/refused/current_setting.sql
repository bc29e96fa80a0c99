-- schema: pilot
-- reason: function-not-listed
SELECT current_setting('threads'), COUNT(*) FROM carmaker.trips
