"""Market knowledge, by example and by property."""
