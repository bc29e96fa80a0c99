"""The floor every room stands on: ids, clock, errors, canonical bytes, crypto, money, database, tasks."""
