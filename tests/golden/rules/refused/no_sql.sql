-- schema: pilot
-- reason: not-understood
SELECT FROM WHERE
