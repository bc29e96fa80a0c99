"""What a product may be used for: a closed list of rules, their evaluation, and their form in ODRL."""
