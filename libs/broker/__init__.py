"""One way to talk to any broker: typed requests in, typed reports out."""
