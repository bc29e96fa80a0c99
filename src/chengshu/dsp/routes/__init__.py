"""The way in: the protocol's provider and consumer bindings, by family."""
