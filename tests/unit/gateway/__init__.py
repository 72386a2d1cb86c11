"""The gateway's pure parts and its routes without a server."""
