"""The connection to NATS and what the library gets wrong by itself: nothing is kept back to be sent later.

Only this module and `streams` know the library.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg as Message
from nats.aio.subscription import Subscription

from libs.common import log
from libs.common.clock import Clock, SystemClock
from libs.common.errors import AppError, InvariantBroken, TooLarge, UpstreamUnavailable
from libs.common.ids import new_id
from libs.common.metrics import METRICS

__all__ = ["Link", "Message", "Subscription", "Waiting", "leave"]

_log = log.get(__name__)
_ERRORS = METRICS.counter("bus_errors_total", "Errors the bus reported beside any call", ["kind"])

PING_S = 5
FLUSH_S = 2
RECONNECT_WAIT_S = 0.2
NO_RESPONDERS = "503"
_REFUSED_PUBLISH = re.compile(r"permissions violation for publish to \"([^\"]+)\"", re.I)


@dataclass
class Waiting:
    """One published try of a question and the answer all its tries share."""

    subject: str
    answer: asyncio.Future[Message]
    is_first: bool
    fails_with_connection: bool


class Link:
    """One connection of one process. Connects in the background; while it is away every call says so at once."""

    def __init__(
        self,
        url: str,
        *,
        name: str,
        password: str | None = None,
        clock: Clock | None = None,
        on_closed: Callable[[], None] | None = None,
    ) -> None:
        """Prepare for `name` (a service); a login inside `url` wins over name and password."""
        self.name = name
        self._url = url
        self._password = password
        self._clock = clock or SystemClock()
        self._on_closed = on_closed
        self._client = Client()
        self._inbox = ""
        self._waiting: dict[str, Waiting] = {}
        self._ready = asyncio.Event()
        self._begun = False
        self._closing = False
        self._last_trouble = ""
        self._reconnected: list[Callable[[], None]] = []
        self.last_ok_at: datetime | None = None

    @property
    def connected(self) -> bool:
        """Whether the connection is up."""
        return self._ready.is_set() and self._client.is_connected

    @property
    def client(self) -> Client:
        """The library's connection; only `streams` may use it."""
        return self._client

    async def connect(self) -> None:
        """Connect, trying for as long as it takes. Cancel to give up."""
        self._begun = True
        login: dict[str, Any] = {} if "@" in self._url else {"user": self.name, "password": self._password}
        await self._client.connect(
            self._url,
            **login,
            name=self.name,
            inbox_prefix=self.inbox_prefix,
            ping_interval=PING_S,
            max_outstanding_pings=2,
            max_reconnect_attempts=-1,
            reconnect_time_wait=RECONNECT_WAIT_S,  # type: ignore[arg-type] # a fraction does
            reconnect_to_server_handler=self._choose_server,
            # Nothing is kept for later: what was sent late is worse than what was refused.
            pending_size=0,
            error_cb=self._heard_error,
            disconnected_cb=self._lost,
            reconnected_cb=self._back,
            closed_cb=self._closed,
        )
        self._inbox = self._client.new_inbox()
        await self._client.subscribe(f"{self._inbox}.*", cb=self._answered)
        self._ready.set()
        self.last_ok_at = self._clock.now()
        _log.info("bus_connected")

    @property
    def inbox_prefix(self) -> str:
        """The prefix of every inbox of this process."""
        return f"_INBOX_{self.name}"

    async def wait_connected(self) -> None:
        """Wait for the first connection."""
        await self._ready.wait()

    async def close(self) -> None:
        """Send what was accepted and leave."""
        self._closing = True
        if self.connected:
            with contextlib.suppress(nats.errors.Error, OSError, TimeoutError):
                await self._client.flush(FLUSH_S)
                await self._client.flush(FLUSH_S)
        if self._begun and not self._client.is_closed:
            await self._client.close()

    def on_reconnected(self, callback: Callable[[], None]) -> None:
        """Call `callback` each time the connection came back."""
        self._reconnected.append(callback)

    async def beat(self) -> None:
        """Prove the connection by a round trip. Raises: UpstreamUnavailable."""
        if not self.connected:
            raise away()
        try:
            await self._client.flush(FLUSH_S)
        except (nats.errors.Error, OSError, TimeoutError) as error:
            raise away() from error
        self.last_ok_at = self._clock.now()

    async def settle(self) -> None:
        """Return once the server has seen everything said so far. Raises: UpstreamUnavailable."""
        # The library's first ping overtakes commands that wait to be written; the second is behind them.
        await self.beat()
        await self.beat()

    def is_lost_for_good(self) -> bool:
        """Whether the library stopped trying to reconnect, which it must never do."""
        task = self._client._reconnection_task  # noqa: SLF001 - nothing public tells
        return self._client.is_closed or (self._client.is_reconnecting and task is not None and task.done())

    # ── what others send ─────────────────────────────────────────────────────────────────────────────────────────────

    async def publish(
        self, subject: str, payload: bytes, *, headers: Mapping[str, str] | None = None, reply: str = ""
    ) -> None:
        """Hand one message to the connection. Raises: UpstreamUnavailable when it is down, TooLarge."""
        if not self.connected:
            raise away()
        try:
            await self._client.publish(subject, payload, reply, dict(headers) if headers else None)
        except nats.errors.MaxPayloadError:
            message = f"{len(payload)} bytes on {subject} are more than the server takes"
            raise TooLarge(message) from None
        except (nats.errors.Error, OSError) as error:
            raise away() from error

    async def request(
        self, subject: str, payload: bytes, *, timeout_s: float, headers: Mapping[str, str] | None = None
    ) -> Message | None:
        """Publish once and wait for one raw answer; None when none came in time. Raises: UpstreamUnavailable."""
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        token = await self.send_try(
            Waiting(subject, answer, is_first=True, fails_with_connection=True), payload, headers or {}
        )
        try:
            async with asyncio.timeout(timeout_s):
                return await answer
        except TimeoutError:
            return None
        finally:
            self.forget([token], answer)

    async def subscribe(
        self,
        subject: str,
        callback: Callable[[Message], Awaitable[None]],
        *,
        queue: str = "",
        pending_limit: int = 65_536,
    ) -> Subscription:
        """Hear `subject`; the library subscribes again after each reconnect. Raises: UpstreamUnavailable."""
        if not self._ready.is_set():
            raise away()
        return await self._client.subscribe(subject, queue=queue, cb=callback, pending_msgs_limit=pending_limit)

    async def send_try(self, waiting: Waiting, payload: bytes, headers: Mapping[str, str]) -> str:
        """Publish one try; the returned token is given back to `forget`. Raises: UpstreamUnavailable, TooLarge."""
        token = new_id()
        self._waiting[token] = waiting
        try:
            await self.publish(waiting.subject, payload, headers=headers, reply=f"{self._inbox}.{token}")
        except AppError:
            del self._waiting[token]
            raise
        return token

    def forget(self, tokens: list[str], answer: asyncio.Future[Message]) -> None:
        """Stop waiting for the answer to these tries."""
        for token in tokens:
            self._waiting.pop(token, None)
        if answer.done() and not answer.cancelled():
            answer.exception()
        answer.cancel()

    async def _answered(self, message: Message) -> None:
        waiting = self._waiting.pop(message.subject.rsplit(".", 1)[-1], None)
        if waiting is None or waiting.answer.done():
            return
        if not message.data and (message.headers or {}).get("Status") == NO_RESPONDERS:
            # After a first try that somebody took, nobody being there now proves nothing: that one may have been done.
            if waiting.is_first:
                waiting.answer.set_exception(UpstreamUnavailable(f"nobody answers {waiting.subject}"))
            return
        self.last_ok_at = self._clock.now()
        waiting.answer.set_result(message)

    # ── the library's callbacks ──────────────────────────────────────────────────────────────────────────────────────

    def _choose_server(self, pool: list[Any], _info: Mapping[str, Any]) -> tuple[Any, float]:
        server = pool[0]
        delay_s = RECONNECT_WAIT_S * (1 + random.random()) if server.reconnects else 0.0  # noqa: S311 - only jitter
        return server, delay_s

    async def _lost(self) -> None:
        # What was accepted but not yet written would be delivered after the reconnect, however late that is.
        self._client._pending.clear()  # noqa: SLF001
        self._client._pending_data_size = 0  # noqa: SLF001
        if self._closing:
            return
        _log.warning("bus_lost")
        for waiting in list(self._waiting.values()):
            if waiting.fails_with_connection and not waiting.answer.done():
                waiting.answer.set_exception(away())

    async def _back(self) -> None:
        self.last_ok_at = self._clock.now()
        self._last_trouble = ""
        _log.info("bus_reconnected")
        for callback in self._reconnected:
            callback()

    async def _closed(self) -> None:
        if self._closing or not self._ready.is_set():
            return
        _log.error("bus_closed")
        if self._on_closed is not None:
            self._on_closed()

    async def _heard_error(self, error: Exception) -> None:
        trouble = f"{type(error).__name__}: {error}"
        _ERRORS.labels(type(error).__name__).inc()
        refused = _REFUSED_PUBLISH.search(trouble)
        if refused:
            # The server drops a forbidden publish silently for its sender, who would wait in vain.
            for waiting in list(self._waiting.values()):
                if waiting.subject == refused[1] and not waiting.answer.done():
                    waiting.answer.set_exception(InvariantBroken(f"{self.name} may not publish {refused[1]}"))
        if trouble != self._last_trouble:
            self._last_trouble = trouble
            _log.warning("bus_trouble", trouble=trouble)


async def leave(subscription: Subscription) -> None:
    """End a subscription after what it already received; without a connection nothing more can come."""
    with contextlib.suppress(nats.errors.Error, OSError, TimeoutError):
        if not subscription._conn.is_connected:  # noqa: SLF001 - draining would wait for an answer that cannot come
            await subscription.unsubscribe()
            return
        # The library's ping overtakes its own word that we leave, and it forgets us when the ping is answered: what the
        # server sent in between would be thrown away. Said before, and seen by the server, that word comes first.
        await subscription._conn._send_unsubscribe(subscription._id)  # noqa: SLF001
        await subscription._conn.flush(FLUSH_S)  # noqa: SLF001
        await subscription.drain()  # type: ignore[no-untyped-call]


def away() -> UpstreamUnavailable:
    return UpstreamUnavailable("the message bus is not connected")
