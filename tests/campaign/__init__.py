"""A seeded random campaign against a whole stack, and the checker that says whether anything was lost."""
