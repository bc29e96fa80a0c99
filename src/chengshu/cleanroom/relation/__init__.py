"""Our own small relational representation, and what its form alone shows: what means the same, and what implies what."""
