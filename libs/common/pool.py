"""A few connections, opened when needed, used again, replaced when lost.

asyncpg's own pool ends every prepared statement when a connection is given back, which SQLAlchemy's cache cannot live
with, and resets sessions, which costs a round trip and cleans what no unit leaves behind.

1. Never more than `size` connections are out or idle together.
2. A connection that is closed, or still inside a transaction, is never handed out.
3. Lost connections are found when they are next taken, so the pool heals by being used.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from libs.common.driver import DriverConnection

IDLE_S = 300.0
"""After this long unused, a connection is given back to the server."""


class Pool:
    """Connections of one process. `acquire_s` bounds waiting for one and opening it, together. Units: seconds."""

    def __init__(self, connect: Callable[[], Awaitable[DriverConnection]], *, size: int, acquire_s: float) -> None:
        self._connect = connect
        self._size = size
        self._acquire_s = acquire_s
        self._free = asyncio.Semaphore(size)
        self._idle: list[tuple[DriverConnection, float]] = []
        self._out: set[DriverConnection] = set()
        self._closed = False

    async def acquire(self) -> DriverConnection:
        """Take a connection, the one used last first. Raises: TimeoutError, OSError, asyncpg's errors."""
        if not self._free.locked() and (found := self._take_idle()) is not None:
            await self._free.acquire()
            self._out.add(found)
            return found
        async with asyncio.timeout(self._acquire_s):
            await self._free.acquire()
            try:
                found = self._take_idle() or await self._connect()
            except BaseException:
                self._free.release()
                raise
        self._out.add(found)
        return found

    def release(self, connection: DriverConnection) -> None:
        """Take a connection back; one that cannot be used again is ended."""
        self._out.discard(connection)
        if self._closed or connection.is_closed() or connection.is_in_transaction():
            connection.end()
        else:
            self._idle.append((connection, time.monotonic()))
        self._free.release()
        while self._idle and time.monotonic() - self._idle[0][1] > IDLE_S:
            self._idle.pop(0)[0].end()

    async def close(self, *, within_s: float = 5.0) -> None:
        """End every connection; those that are out get `within_s` to come back. Units: seconds."""
        self._closed = True
        try:
            async with asyncio.timeout(within_s):
                for _ in range(self._size):
                    await self._free.acquire()
        except TimeoutError:
            for connection in self._out:
                connection.terminate()
        for connection, _ in self._idle:
            connection.end()
        self._idle.clear()

    def _take_idle(self) -> DriverConnection | None:
        while self._idle:
            connection, _ = self._idle.pop()
            if not connection.is_closed():
                return connection
            connection.end()
        return None
