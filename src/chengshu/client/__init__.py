"""The Python client: ask a node questions in SQL and take the answer as a table, with its receipt."""
