"""Tests against real PostgreSQL, NATS and simulator."""
