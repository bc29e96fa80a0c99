"""Evidence that stands alone: packs about one case, proofs of one use, receipts, and the verifier as one file."""
