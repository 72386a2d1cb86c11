"""Processes killed for real, servers taken away."""
