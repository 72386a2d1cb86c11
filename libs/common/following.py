"""Following EVENTS live from a place in the recent past: one ordered reader that starts again where it was.

Invariants:
1. Between two `Began` every sequence comes exactly once and in order, without a hole.
2. A `Began` says that what was read before cannot be continued: another stream, a hole, or the very start.
3. Nothing is stored at the server beyond a few seconds of absence; there is nothing to delete.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from libs.common import log
from libs.common.errors import AppError, UpstreamUnavailable
from libs.common.ids import new_id
from libs.common.link import Message, forget
from libs.common.messages.durables import EVENTS
from libs.common.metrics import METRICS
from libs.common.streams import SECOND_NS, Streams, StreamState

_log = log.get(__name__)
_AGAIN = METRICS.counter("follow_restarts_total", "Times the live reader had to start again, by why", ["reason"])

EVERYTHING = "evt.>"
HEARTBEAT_S = 2.0
SILENCE_S = 2.5 * HEARTBEAT_S
ABANDONED_S = 10.0


@dataclass(frozen=True)
class Began:
    """Forget what was read before; facts follow from `floor` + 1. Up to date once `newest` was read."""

    epoch: str
    floor: int
    newest: int


@dataclass(frozen=True)
class Followed:
    """One fact as it is stored. Time: `stored_at` aware UTC, the server's."""

    sequence: int
    subject: str
    data: bytes
    stored_at: datetime


class _Again(Exception):
    """A reading ended; the next one goes on after the last sequence, or begins anew."""

    def __init__(self, reason: str, *, anew: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.anew = anew


async def follow(streams: Streams, *, most: int = 50_000, age_s: float = 900.0) -> AsyncIterator[Began | Followed]:
    """Yield the last `most` facts that are younger than `age_s`, then every new one, for ever.

    Waits by itself while the bus is away.
    """
    follower = _Follower(streams, most, age_s)
    while True:
        try:
            await streams.bus.wait_connected()
            async for item in follower.read():
                yield item
        except _Again as again:
            _AGAIN.labels(again.reason).inc()
            follower.anew = follower.anew or again.anew
        except AppError as error:
            _log.warning("follow_waits", reason=error.detail)
            await asyncio.sleep(0.2)


class _Follower:
    """Where one reader is, across readings."""

    def __init__(self, streams: Streams, most: int, age_s: float) -> None:
        self._streams = streams
        self._most = most
        self._age_s = age_s
        self._created_at: datetime | None = None
        self._last = 0
        self.anew = True
        self._inbox: asyncio.Queue[Message | None] = asyncio.Queue()
        streams.bus.on_reconnected(lambda: self._inbox.put_nowait(None))

    async def read(self) -> AsyncIterator[Began | Followed]:
        """Read until something is wrong. Raises: _Again, AppError."""
        state = await self._state()
        if (
            state.created_at != self._created_at
            or self._last + 1 < state.first_sequence
            or self._last > state.last_sequence
        ):
            self.anew = True
        inbox: asyncio.Queue[Message | None] = asyncio.Queue()
        self._inbox = inbox

        async def take(message: Message) -> None:
            inbox.put_nowait(message)

        subject = f"{self._streams.bus.inbox_prefix}.{new_id()}"
        subscription = await self._streams.bus.subscribe(subject, take, pending_limit=2 * self._most)
        try:
            if self.anew:
                yield await self._begin(state, subject)
            else:
                await self._create(subject, {"deliver_policy": "by_start_sequence", "opt_start_seq": self._last + 1})
            async for followed in self._deliveries(inbox):
                yield followed
        finally:
            await forget(subscription)

    async def _state(self) -> StreamState:
        try:
            return await self._streams.state(EVENTS)
        except UpstreamUnavailable:
            await self._streams.ensure()
            return await self._streams.state(EVENTS)

    async def _begin(self, state: StreamState, subject: str) -> Began:
        """Choose where to start: `age_s` ago, or `most` facts ago when that is later."""
        is_rewound = state.created_at == self._created_at and self._last > state.last_sequence
        since = (datetime.now(UTC) - timedelta(seconds=self._age_s)).isoformat()
        by_age = await self._create(subject + ".probe", {"deliver_policy": "by_start_time", "opt_start_time": since})
        waiting = min(int(by_age["num_pending"]), self._most)
        self._last = max(state.last_sequence - waiting, state.first_sequence - 1, 0)
        await self._create(subject, {"deliver_policy": "by_start_sequence", "opt_start_seq": self._last + 1})
        self._created_at = state.created_at
        self.anew = False
        epoch = f"{int(state.created_at.timestamp() * 1_000_000):x}"
        # A stream put back from a copy has its old birthday but another future.
        return Began(f"{epoch}r{new_id()[:8]}" if is_rewound else epoch, self._last, state.last_sequence)

    async def _create(self, subject: str, start: dict[str, Any]) -> dict[str, Any]:
        """Make a reader that the server forgets by itself."""
        config = {
            "deliver_subject": subject,
            "ack_policy": "none",
            "max_deliver": 1,
            "filter_subject": EVERYTHING,
            "flow_control": True,
            "idle_heartbeat": int(HEARTBEAT_S * SECOND_NS),
            "inactive_threshold": int(ABANDONED_S * SECOND_NS),
            "mem_storage": True,
            "num_replicas": 1,
            "replay_policy": "instant",
            **start,
        }
        made = await self._streams.api(f"CONSUMER.CREATE.{EVENTS}", {"stream_name": EVENTS, "config": config})
        if made is None:
            raise UpstreamUnavailable("EVENTS is gone")
        return made

    async def _deliveries(self, inbox: asyncio.Queue[Message | None]) -> AsyncIterator[Followed]:
        delivered = 0
        while True:
            message = await _next(inbox)
            status = (message.headers or {}).get("Status")
            if status is not None:
                await self._control(message, status, delivered)
                continue
            # $JS.ACK.<stream>.<consumer>.<tries>.<stream sequence>.<consumer sequence>.<nanoseconds>.<pending>
            parts = message.reply.split(".")
            sequence, nth, stored_ns = int(parts[5]), int(parts[6]), int(parts[7])
            if nth != delivered + 1:
                raise _Again("lost_on_the_way")
            delivered = nth
            if sequence != self._last + 1:
                _log.error("stream_has_a_hole", after=self._last, then=sequence)
                raise _Again("hole", anew=True)
            self._last = sequence
            stored_at = datetime.fromtimestamp(stored_ns / 1e9, UTC)
            yield Followed(sequence, message.subject, message.data, stored_at)

    async def _control(self, message: Message, status: str, delivered: int) -> None:
        """Answer flow control; compare what a heartbeat says was sent with what came."""
        headers = message.headers or {}
        if status != "100":
            raise _Again("refused")
        answer_to = message.reply or headers.get("Nats-Consumer-Stalled")
        if answer_to:
            await self._streams.bus.publish(answer_to, b"")
        sent = headers.get("Nats-Last-Consumer")
        if sent is not None and int(sent) > delivered:
            raise _Again("lost_on_the_way")


async def _next(inbox: asyncio.Queue[Message | None]) -> Message:
    """Wait for the next message. Raises: _Again after a reconnect or a silence."""
    if inbox.empty():
        try:
            async with asyncio.timeout(SILENCE_S):
                message = await inbox.get()
        except TimeoutError:
            raise _Again("silence") from None
    else:
        message = inbox.get_nowait()
    if message is None:
        raise _Again("reconnected")
    return message


__all__ = ["Began", "Followed", "follow"]
