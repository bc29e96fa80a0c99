-- schema: pilot
-- reason: aggregate-not-listed
SELECT any_value(speed) FROM carmaker.trips
