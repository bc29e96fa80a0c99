-- schema: pilot
-- reason: one-statement
SELECT COUNT(*) FROM carmaker.trips /* ok */ ; -- more
DROP TABLE x
