"""Use receipts: issued by providers, countersigned by consumers, kept in one book."""
