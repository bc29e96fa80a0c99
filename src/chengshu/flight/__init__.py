"""The door for ordinary database tools: questions over Arrow Flight SQL, vetted, planned and metered as any other."""
