"""From click to close over HTTP only, on a stack started by the launcher."""
