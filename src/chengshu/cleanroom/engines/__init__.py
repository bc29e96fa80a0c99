"""Engines that run a vetted question; each is locked down by itself and never sees the asker's own text."""
