"""The page in a real Chromium against a whole running stack."""
