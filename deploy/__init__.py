"""How Bookend is run: the embedded stack, and the configuration of its servers."""
