"""Where a log's published files are kept; one adapter a technology."""
