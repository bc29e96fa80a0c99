"""Conditions inside aggregates: how they are written, which rows they tell apart, and what must stand behind each of them."""
