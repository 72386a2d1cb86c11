"""The chassis without sockets."""
