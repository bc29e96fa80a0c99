"""Metering, contribution and payment: who is paid what, and a statement that every party can recompute."""
