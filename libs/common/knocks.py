"""How often somebody came in the current window of time. Pure.

1. What one does counts for nobody else.
2. What is remembered is bounded by what came within one window.
Time: seconds of a clock that only goes forward.
"""

from __future__ import annotations

from collections import Counter


class Knocks:
    """How often each of many came since the current window of `window_s` began."""

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._began = float("-inf")
        self._counts: Counter[str] = Counter()

    def count(self, who: str, now: float) -> int:
        """Count this time, and say how many there were with it."""
        if now >= self._began + self._window_s:
            self._began = now
            self._counts.clear()
        self._counts[who] += 1
        return self._counts[who]
