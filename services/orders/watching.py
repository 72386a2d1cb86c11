"""Lets a request wait for a trade's state while flows go on, here or on another replica."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from services.orders.trade import View

LOOK_EVERY_S = 0.25
"""How often the table is read in case that another replica goes on with the trade."""


@dataclass(slots=True)
class Watch:
    """Set once a stored state of the trade is what is waited for."""

    until: Callable[[View], bool]
    reached: asyncio.Event = field(default_factory=asyncio.Event)

    async def wait(self, look: Callable[[], Awaitable[View]], within_s: float) -> None:
        """Wait until it is so, or for so long."""
        try:
            async with asyncio.timeout(within_s):
                while not self.reached.is_set():
                    try:
                        async with asyncio.timeout(LOOK_EVERY_S):
                            await self.reached.wait()
                    except TimeoutError:
                        if self.until(await look()):
                            return
        except TimeoutError:
            return


@dataclass(slots=True)
class Watches:
    """Who waits for which trade in this process."""

    waiting: dict[str, list[Watch]] = field(default_factory=dict)

    @contextmanager
    def on(self, trade_id: str, until: Callable[[View], bool]) -> Iterator[Watch]:
        """Watch a trade inside the block."""
        watch = Watch(until)
        watches = self.waiting.setdefault(trade_id, [])
        watches.append(watch)
        try:
            yield watch
        finally:
            watches.remove(watch)
            if not watches:
                self.waiting.pop(trade_id, None)

    def is_awaited(self, view: View) -> bool:
        """Say whether somebody waits for just this state and has not been shown it yet."""
        waiting = self.waiting.get(view.trade.id, ())
        return any(not watch.reached.is_set() and watch.until(view) for watch in waiting)

    def saw(self, view: View) -> None:
        """Show a stored state to whoever waits for it."""
        for watch in self.waiting.get(view.trade.id, ()):
            if watch.until(view):
                watch.reached.set()
