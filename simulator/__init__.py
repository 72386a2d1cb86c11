"""The outside world in a box: Tradier and ORATS by wire format, and a paper broker that remembers."""
