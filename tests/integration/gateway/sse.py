"""A reader of server-sent events, as strict as a browser's. Source: HTML Living Standard §9.2."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import orjson

from libs.common.testing import eventually


@dataclass(frozen=True)
class Event:
    name: str
    data: Any
    id: str | None


class Feed:
    """What came so far on one connection."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.last_id = ""
        self.comments = 0
        self.is_over = False
        self.status = 0
        self.problem: dict[str, Any] = {}

    def named(self, name: str) -> list[Event]:
        return [event for event in self.events if event.name == name]

    async def until(self, name: str, count: int = 1, within_s: float = 10) -> list[Event]:
        await eventually(lambda: len(self.named(name)) >= count, within_s)
        return self.named(name)

    async def read(self, response: httpx.Response) -> None:
        fields: dict[str, str] = {}
        async for line in response.aiter_lines():
            if not line:
                self._dispatch(fields)
                fields = {}
            elif line.startswith(":"):
                self.comments += 1
            else:
                name, _, value = line.partition(":")
                fields[name] = value.removeprefix(" ")
        self.is_over = True

    def _dispatch(self, fields: dict[str, str]) -> None:
        self.last_id = fields.get("id", self.last_id)
        if fields.get("data"):
            self.events.append(Event(fields.get("event", "message"), orjson.loads(fields["data"]), fields.get("id")))


@asynccontextmanager
async def reading(client: httpx.AsyncClient, last_id: str | None = None) -> AsyncIterator[Feed]:
    """Read the live feed until the block ends."""
    feed = Feed()
    headers = {"Last-Event-ID": last_id} if last_id else {}

    async def follow() -> None:
        try:
            async with client.stream("GET", "/api/stream", headers=headers, timeout=None) as response:
                feed.status = response.status_code
                if response.status_code == 200:
                    await feed.read(response)
                else:
                    feed.problem = orjson.loads(await response.aread())
        except (httpx.TransportError, httpx.StreamClosed):
            feed.is_over = True

    task = asyncio.create_task(follow())
    try:
        await eventually(lambda: feed.problem or feed.last_id or feed.is_over, 10)
        yield feed
    finally:
        task.cancel()
        await asyncio.wait([task])
