"""What must hold for every part, whoever wrote it."""
