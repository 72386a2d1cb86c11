"""The integration tests on the images that compose runs, and the papers of those images."""
