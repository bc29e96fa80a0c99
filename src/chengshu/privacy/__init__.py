"""Privacy: an exact ledger of what answers have told about people, and the noise that keeps each answer within it."""
