"""Between the protocol's documents and the values of the rooms below, by family."""
