"""Products on their way to a clean room: encrypted to the key of one job, and resumed where they broke off."""
