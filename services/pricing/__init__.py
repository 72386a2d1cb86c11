"""What the market says: marks, price history, chains and sessions."""
