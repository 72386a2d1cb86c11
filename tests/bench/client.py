"""A load client that costs little itself: one keep-alive connection, one request written, one answer read."""

from __future__ import annotations

import asyncio
import time
from typing import Self
from urllib.parse import urlsplit

LENGTH = b"content-length:"


class Client:
    """One HTTP/1.1 connection to `url`. `headers` go with every request."""

    def __init__(self, url: str, headers: dict[str, str] | None = None) -> None:
        self._address = urlsplit(url)
        lines = {"Host": self._address.netloc} | (headers or {})
        self.lines = "".join(f"{name}: {value}\r\n" for name, value in lines.items())

    async def __aenter__(self) -> Self:
        """Connect."""
        self._reader, self._writer = await asyncio.open_connection(self._address.hostname, self._address.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Hang up."""
        self._writer.close()

    async def get(self, path: str) -> bytes:
        """Return the body of a 200 answer. Raises: RuntimeError for any other."""
        return await self.send(f"GET {path} HTTP/1.1\r\n{self.lines}\r\n".encode())

    async def send(self, request: bytes) -> bytes:
        """Write a whole request and return the body of its answer. Raises: RuntimeError unless 200 to 202."""
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        at = head.lower().index(LENGTH) + len(LENGTH)
        body = await self._reader.readexactly(int(head[at : head.index(b"\r", at)]))
        if head[9:12] not in {b"200", b"201", b"202"}:
            raise RuntimeError((head + body).decode())
        return body

    async def times_ms(self, path: str, count: int) -> list[float]:
        """Get the same again and again, one after the other; returns how long each took. Units: milliseconds."""
        taken = []
        for _ in range(count):
            began = time.perf_counter()
            await self.get(path)
            taken.append((time.perf_counter() - began) * 1000)
        return taken


async def at_once(url: str, headers: dict[str, str], path: str, *, connections: int, count: int) -> float:
    """Get `count` answers over several connections; returns answers a second."""

    async def share(client: Client) -> None:
        async with client:
            await client.get(path)
            await begin.wait()
            await client.times_ms(path, count // connections)

    begin = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(connections):
            tasks.create_task(share(Client(url, headers)))
        await asyncio.sleep(0.5)
        began = time.perf_counter()
        begin.set()
    return count / (time.perf_counter() - began)
