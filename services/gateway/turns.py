"""One at a time per key, within this process: parallel password guesses come one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from libs.common.errors import Throttled

LONGEST_QUEUE = 300


class Turns:
    """Gives the turn to one holder per key; keys nobody waits for take no room."""

    def __init__(self) -> None:
        self._locks: dict[str, asyncio.Lock] = {}
        self._queued: dict[str, int] = {}

    @asynccontextmanager
    async def of(self, key: str) -> AsyncIterator[None]:
        """Wait for the turn of `key` and hold it. Raises: Throttled when the queue is too long."""
        if self._queued.get(key, 0) >= LONGEST_QUEUE:
            raise Throttled("too many sign-ins at once; try again in a few seconds", retry_after_s=5)
        lock = self._locks.setdefault(key, asyncio.Lock())
        self._queued[key] = self._queued.get(key, 0) + 1
        try:
            async with lock:
                yield
        finally:
            self._queued[key] -= 1
            if not self._queued[key]:
                del self._queued[key], self._locks[key]
