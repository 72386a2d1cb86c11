"""One live feed: a bounded buffer between the hub and a browser that may be slow.

Ticks are dropped before facts; when facts do not fit either, the reader is told to load again and closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from services.gateway import frames

MOST_BYTES = 512 * 1024
TICK_BYTES = 128 * 1024
LAST_WORD_S = 5.0

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]


class Reader:
    """What waits to be written to one browser, and whether it is over."""

    def __init__(self, user: str, credential_id: str) -> None:
        self.user = user
        self.credential_id = credential_id
        self._waiting: list[tuple[bytes, bool]] = []
        self._size = 0
        self._is_over = False
        self._news = asyncio.Event()
        self._last_place = b""

    def give(self, frame: bytes, *, may_drop: bool = False) -> None:
        """Buffer a frame. When the buffer is full, ticks go; then the reader is ended with `resync`."""
        if self._is_over:
            return
        if may_drop and self._size + len(frame) > TICK_BYTES:
            self._keep_facts()
            if self._size + len(frame) > TICK_BYTES:
                return
        if self._size + len(frame) > MOST_BYTES:
            self._keep_facts()
        if self._size + len(frame) > MOST_BYTES:
            self._waiting = [(frames.resync("slow"), False)]
            self.end()
            return
        self._waiting.append((frame, may_drop))
        self._size += len(frame)
        self._news.set()

    def has(self, place: bytes) -> bool:
        """Tell whether the reader was told this place last; if not, note that it is now."""
        same = self._last_place == place
        self._last_place = place
        return same

    def end(self) -> None:
        """Close the feed after what is buffered."""
        self._is_over = True
        self._news.set()

    async def write(self, receive: Receive, send: Send) -> None:
        """Write until the browser leaves or the feed is ended."""
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(self._until_gone(receive))
            await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
            while not self._is_over:
                await self._news.wait()
                await self._flush(send, more=True)
            if not watch.done():
                watch.cancel()
                await self._say_last_word(send)

    async def _flush(self, send: Send, *, more: bool) -> None:
        body = b"".join(frame for frame, _ in self._waiting)
        self._waiting.clear()
        self._size = 0
        self._news.clear()
        if body or not more:
            await send({"type": "http.response.body", "body": body, "more_body": more})

    async def _say_last_word(self, send: Send) -> None:
        try:
            async with asyncio.timeout(LAST_WORD_S):
                await self._flush(send, more=False)
        except TimeoutError:
            return  # a browser that does not read is cut off by the server

    async def _until_gone(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.end()

    def _keep_facts(self) -> None:
        self._waiting = [(frame, may_drop) for frame, may_drop in self._waiting if not may_drop]
        self._size = sum(len(frame) for frame, _ in self._waiting)
