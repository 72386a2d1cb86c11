"""What the broker says: orders as they change, accounts, and what is wrong."""
