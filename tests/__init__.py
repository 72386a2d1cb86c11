"""Everything that proves the system."""
