"""How tables become bytes on the wire."""
