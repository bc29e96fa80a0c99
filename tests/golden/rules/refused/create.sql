-- schema: pilot
-- reason: only-select
CREATE TABLE x AS SELECT COUNT(*) FROM carmaker.trips
