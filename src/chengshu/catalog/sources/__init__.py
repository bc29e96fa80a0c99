"""Where a product's rows come from; one file a technology."""
