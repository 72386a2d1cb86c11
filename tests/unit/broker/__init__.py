"""The broker client without a socket."""
