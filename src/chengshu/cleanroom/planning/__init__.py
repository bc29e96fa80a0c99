"""Where a question runs, who then sees what, and whether every owner allows that: decided and said before anything runs."""
