"""What the autonomous-driving pilot names by entry point: how its sample becomes each party's data, and its two sealed methods."""
