"""Chains that keep digests, each in a file named by its technology."""
