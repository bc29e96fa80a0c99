"""Everything that is wrong with a log's files, byte by byte, and what the signed root proves in spite of it."""
