"""Where a node's private key lives."""
