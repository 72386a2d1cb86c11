"""Rules about money, broken on purpose one at a time: some test must notice each. `python -m tests.mutants`."""
