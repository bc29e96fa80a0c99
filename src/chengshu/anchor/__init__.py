"""Anchors: digests of checkpoints kept by a chain that nobody here can rewrite, so that a log's past is fixed for outsiders as well."""
