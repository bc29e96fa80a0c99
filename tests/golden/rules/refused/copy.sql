-- schema: pilot
-- reason: only-select
COPY (SELECT 1) TO '/tmp/x.csv'
