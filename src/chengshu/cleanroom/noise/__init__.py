"""Answers that carry noise: how they are made, what they cost, who is charged, and which are kept to be given again."""
