"""Against real PostgreSQL."""
