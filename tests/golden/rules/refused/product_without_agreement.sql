-- schema: pilot
-- reason: no-agreement
SELECT COUNT(*) FROM insurer.claims
