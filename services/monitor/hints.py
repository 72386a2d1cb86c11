"""A storm of hints made into few reads: the first of a burst is read at once, the rest ever more seldom."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

QUIET_S = 2.0
"""After this long without a hint the next one is the first of a burst again."""

SLOWEST_S = 1.0
"""No storm makes more reads than one in this long."""


def next_gap_s(gap_s: float, first_s: float, quiet_s: float) -> float:
    """Return how long hints are gathered before the next read. Units: seconds; `quiet_s` since the last read."""
    return first_s if quiet_s >= QUIET_S else min(SLOWEST_S, max(first_s, 0.05) if gap_s <= first_s else gap_s * 2)


class Gathered:
    """Hints noted as they come, read about as few times as that needs. A hint is never lost: it is read after it."""

    def __init__(self, first_s: float) -> None:
        self._first_s = first_s
        self._news = asyncio.Event()

    def note(self) -> None:
        """Something happened."""
        self._news.set()

    async def tell(self, read: Callable[[], Awaitable[bool]]) -> None:
        """Ask for a read after each burst, for ever; one that could not be asked for (False) is asked for again."""
        loop = asyncio.get_running_loop()
        gap_s, told_at = self._first_s, float("-inf")
        while True:
            await self._news.wait()
            gap_s = next_gap_s(gap_s, self._first_s, loop.time() - told_at)
            await asyncio.sleep(gap_s)
            self._news.clear()
            if not await read():
                self._news.set()
            told_at = loop.time()
