"""Measured side by side in one run: ours beside a reference. Only ratios judge; times are printed for a reader."""
