"""The Dataspace Protocol 2025-1 over HTTPS: messages, their meaning, the way out and the way in."""
