"""How bytes get to and from another party's endpoint."""
