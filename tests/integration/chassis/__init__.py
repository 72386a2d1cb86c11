"""The chassis against real PostgreSQL."""
