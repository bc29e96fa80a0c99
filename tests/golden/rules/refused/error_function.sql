-- schema: pilot
-- reason: function-not-listed
SELECT SUM(error('x' || zone)) FROM carmaker.trips
