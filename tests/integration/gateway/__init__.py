"""The gateway as a process: real PostgreSQL, real NATS, the other services played by the test."""
