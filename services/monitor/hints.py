"""A storm of hints made into few reads: the first of a burst is read at once, the rest ever more seldom.

What executed nothing and refused nothing is read a little later: nearly always it is our own order that rests now or
was cancelled as asked, which orders reads by itself, and what it does next comes along in the same read.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from libs.broker.orders import OrderStatus

QUIET_S = 2.0
"""After this long without a hint the next one is the first of a burst again."""

SLOWEST_S = 1.0
"""No storm makes more reads than one in this long."""

CALM = frozenset(
    {OrderStatus.PENDING, OrderStatus.HELD, OrderStatus.OPEN, OrderStatus.PENDING_CANCEL, OrderStatus.CANCELLED}
)


def is_urgent(status: OrderStatus) -> bool:
    """Say whether what an order is said to have come to is read at once: it executed, was refused, or nobody knows."""
    return status not in CALM


def next_gap_s(gap_s: float, first_s: float, quiet_s: float) -> float:
    """Return how long hints are gathered before the next read. Units: seconds; `quiet_s` since the last read."""
    return first_s if quiet_s >= QUIET_S else min(SLOWEST_S, max(first_s, 0.05) if gap_s <= first_s else gap_s * 2)


class Gathered:
    """Hints noted as they come, read about as few times as that needs. A hint is never lost: it is read after it."""

    def __init__(self, first_s: float, calm_s: float = 0.0) -> None:
        """Units: seconds; `calm_s` is how long a hint that is not urgent waits for one that is."""
        self._first_s = first_s
        self._calm_s = calm_s
        self._news = asyncio.Event()
        self._urgent = asyncio.Event()

    def note(self, *, is_urgent: bool = True) -> None:
        """Something happened."""
        self._news.set()
        if is_urgent:
            self._urgent.set()

    async def tell(self, read: Callable[[], Awaitable[bool]]) -> None:
        """Ask for a read after each burst, for ever; one that could not be asked for (False) is asked for again."""
        loop = asyncio.get_running_loop()
        gap_s, told_at = self._first_s, float("-inf")
        while True:
            await self._news.wait()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._calm_s):
                    await self._urgent.wait()
            gap_s = next_gap_s(gap_s, self._first_s, loop.time() - told_at)
            await asyncio.sleep(gap_s)
            self._news.clear()
            self._urgent.clear()
            if not await read():
                self.note()
            told_at = loop.time()
