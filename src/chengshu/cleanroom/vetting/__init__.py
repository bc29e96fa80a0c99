"""Whether a question may be asked: read, held against every rule in order, and said again in our own words."""
