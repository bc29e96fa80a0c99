-- schema: pilot
-- reason: pattern
SELECT COUNT(*) FROM carmaker.trips WHERE regexp_matches(zone, '(a+)+$')
