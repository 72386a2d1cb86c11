"""What every NATS login may do, and the server configuration that says so."""
