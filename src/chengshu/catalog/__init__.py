"""What a node offers: data products, their contracts, the quality of what is behind them, and where each is read from."""
