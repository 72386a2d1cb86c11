"""Decides what a trade's state is, and alone changes anything at the broker."""
