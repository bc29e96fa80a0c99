"""The control plane: transfer processes of the Dataspace Protocol 2025-1, on either side."""
