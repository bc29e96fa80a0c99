"""The HTTP door of a node: the Dataspace Protocol, and the clean room's own messages between nodes."""
