"""How witnesses are reached."""
