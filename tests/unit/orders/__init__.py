"""The order path's pure parts."""
