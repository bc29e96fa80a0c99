-- schema: pilot
-- reason: function-not-listed
SELECT COUNT(*) FROM carmaker.trips WHERE random() < 0.5
