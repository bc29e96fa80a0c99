"""The shapes of the protocol's messages, by family, checked at the border."""
