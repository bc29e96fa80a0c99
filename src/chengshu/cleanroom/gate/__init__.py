"""What stands between a result and its asker: the gate on groups, the guard against subtracting answers, and what is done after both."""
