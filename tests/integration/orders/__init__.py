"""Orders against a real PostgreSQL and a real simulator."""
