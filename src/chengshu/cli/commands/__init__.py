"""One file a noun: the commands that work on it."""
