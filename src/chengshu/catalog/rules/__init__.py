"""What is wrong with a source: one family of quality rules a file, each a function from a sheet to hits."""
