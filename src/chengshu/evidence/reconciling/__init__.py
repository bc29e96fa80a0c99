"""Two parties' logs held against each other: what each says of their common contracts, and the first difference."""
