"""Data Plane Signaling: control planes that this node's operator registered drive its data plane."""
