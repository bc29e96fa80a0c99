"""The way to other nodes' clean-room routes."""
