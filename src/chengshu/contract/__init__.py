"""Negotiations and the agreements that come of them, enforced at every use."""
