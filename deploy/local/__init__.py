"""The embedded stack behind `./bookend`: PostgreSQL, NATS, the simulator and the services on one machine."""
