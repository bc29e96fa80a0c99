"""Witnesses: nodes that cosign one another's checkpoints, so that nobody can show one history here and another there."""
