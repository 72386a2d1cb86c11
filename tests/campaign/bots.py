"""Bots that publish over NATS: again and again under one name, until the stream says that it has the signal."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import nats.errors
import orjson
from nats.aio.client import Client

from tests.campaign.asking import PATIENCE_S
from tests.journey.trader import Json

NAME = "scanner"
ANSWERED_S = 1.5


@dataclass
class Taken:
    """The signals that the stream said it has, by user and name. Safe for many bots."""

    names: set[tuple[str, str]] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, username: str, signal_id: str) -> None:
        """Note one."""
        with self.lock:
            self.names.add((username, signal_id))

    def all(self) -> frozenset[tuple[str, str]]:
        """Return them as they are now."""
        with self.lock:
            return frozenset(self.names)


class Bot:
    """One bot of a person, with a connection and a thread of its own, that many hands may use."""

    def __init__(self, nats_url: str, username: str, key: str, taken: Taken) -> None:
        address = urlsplit(nats_url)
        self._url = f"nats://{address.hostname}:{address.port}"
        self._username, self._key, self._taken = username, key, taken
        self._bus: Client | None = None
        self._connecting = asyncio.Lock()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Bot:
        """Begin; it connects when it has something to say."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave."""
        asyncio.run_coroutine_threadsafe(self._leave(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def publish(self, signal: Json, over: threading.Event, *, insists: bool) -> bool:
        """Publish until the stream has it, or once; says whether it is known to have it."""
        ends = time.monotonic() + PATIENCE_S
        while not asyncio.run_coroutine_threadsafe(self._publish(signal), self._loop).result(30):
            if not insists or time.monotonic() > ends or over.wait(0.3):
                return False
        self._taken.add(self._username, signal["signal_id"])
        return True

    async def _publish(self, signal: Json) -> bool:
        try:
            bus = await self._connected()
            said = await bus.request(f"signals.{self._username}.{NAME}", orjson.dumps(signal), timeout=ANSWERED_S)
            return "seq" in orjson.loads(said.data)
        except (nats.errors.Error, OSError, TimeoutError, orjson.JSONDecodeError):
            # The server was killed, the gateway lets nobody in, the answer is lost: a bot comes back and says it again.
            await self._leave()
            return False

    async def _connected(self) -> Client:
        async with self._connecting:
            if self._bus is None:
                # Ours before it is connected: one that could not come in has a socket to be closed as well.
                self._bus = Client()
                await self._bus.connect(
                    self._url, user=f"{self._username}.{NAME}", password=self._key, allow_reconnect=False,
                    connect_timeout=2, inbox_prefix=f"_INBOX_{self._username}_{NAME}".encode(), error_cb=_heard,
                )  # fmt: skip
            return self._bus

    async def _leave(self) -> None:
        bus, self._bus = self._bus, None
        if bus is not None:
            with contextlib.suppress(nats.errors.Error, OSError, TimeoutError):
                await bus.close()


async def _heard(_: Exception) -> None:
    """Say nothing: what went wrong shows in what is not answered."""
