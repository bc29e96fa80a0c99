-- schema: pilot
-- reason: only-select
SUMMARIZE carmaker.trips
