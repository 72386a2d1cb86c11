"""The shared request budget against a real bus and a real broker stand-in."""
