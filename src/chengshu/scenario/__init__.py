"""What a pack is, whether it is well made, and how it is played over real nodes."""
