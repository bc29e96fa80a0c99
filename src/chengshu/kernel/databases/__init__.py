"""What a node's database may be kept by, each in a file of its name, behind one protocol."""
