-- schema: pilot
-- reason: function-not-listed
SELECT COUNT(*) FROM carmaker.trips WHERE abs(speed) > 3
