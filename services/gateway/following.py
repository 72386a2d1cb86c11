"""Reads every fact of the house in the order of the stream, once per process, and brings it to the hub.

1. Facts reach the hub in the stream's order without gap or repeat: a consumer whose numbers jump, whose heartbeat
   stops or whose connection was lost is made again behind the last fact seen.
2. Another stream than before, or one that went back, is another epoch: readers are told to load again.
3. The consumer lives on the server only as long as somebody listens, and acknowledges nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from libs.common import log
from libs.common.bus import Bus
from libs.common.clock import Clock
from libs.common.errors import AppError, UpstreamUnavailable
from libs.common.ids import new_id
from libs.common.link import leave
from libs.common.messages.durables import EVENTS, EVERY_FACT
from libs.common.streams import SECOND_NS, Streams, StreamState
from services.gateway.fanout import Hub
from services.gateway.ring import Bounds

_log = log.get(__name__)

HEARTBEAT_S = 2.0
SILENCE_S = 3 * HEARTBEAT_S
RETRY_S = 0.2
LONGEST_RETRY_S = 1.0
KEPT_WITHOUT_US_S = 10


_EVER = datetime.min.replace(tzinfo=UTC) + timedelta(days=1)


class Heard(Protocol):
    """What the bus brings."""

    @property
    def subject(self) -> str: ...  # noqa: D102
    @property
    def reply(self) -> str: ...  # noqa: D102
    @property
    def data(self) -> bytes: ...  # noqa: D102
    @property
    def headers(self) -> Mapping[str, str] | None: ...  # noqa: D102


@dataclass(frozen=True)
class Place:
    """Where a delivery is: its number in the stream and among what this consumer delivered."""

    in_stream: int
    in_consumer: int


class Following:
    """Keeps one consumer alive and the hub up to date."""

    def __init__(self, bus: Bus, streams: Streams, hub: Hub, clock: Clock) -> None:
        self._bus = bus
        self._streams = streams
        self._hub = hub
        self._clock = clock
        self._again = asyncio.Event()
        self._heard_at = 0.0
        self._delivered = 0
        self._fill_to = 0
        self._run = 0
        self._breaks = 0
        self._created_at: datetime | None = None
        bus.on_reconnected(self._again.set)

    async def run(self) -> None:
        """Follow until cancelled; whatever breaks is begun again."""
        wait_s, reason = RETRY_S, ""
        while True:
            try:
                await self._follow_once()
            except AppError as error:
                if error.detail != reason:
                    _log.warning("feed_waits", reason=error.detail)
                reason = error.detail
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, LONGEST_RETRY_S)
            else:
                wait_s, reason = RETRY_S, ""

    async def _follow_once(self) -> None:
        """Follow until the consumer breaks. Raises: UpstreamUnavailable."""
        await self._bus.wait_connected()
        self._again.clear()
        self._run += 1
        self._delivered = 0
        run, subject = self._run, f"{self._bus.inbox_prefix}.{new_id()}"

        async def heard(message: Heard) -> None:
            if run == self._run:
                await self._hear(message)

        subscription = await self._bus.subscribe(subject, heard)
        try:
            start = self._place(await self._streams.state(EVENTS))
            made = await self._streams.api(f"CONSUMER.CREATE.{EVENTS}", _consumer(subject, start))
            if made is None:
                detail = f"there is no stream {EVENTS}"
                raise UpstreamUnavailable(detail)
            if not made.get("num_pending"):
                self._fill_to = 0
            self._heard_at = self._clock.monotonic()
            self._note_filled()
            await self._until_broken()
        finally:
            await leave(subscription)

    def _place(self, state: StreamState) -> dict[str, Any]:
        """Say where to go on: behind the last fact seen, or in another stream from the beginning of the ring's time."""
        ring = self._hub.ring
        goes_on = state.created_at == self._created_at and state.first_sequence - 1 <= ring.last <= state.last_sequence
        if goes_on:
            return {"deliver_policy": "by_start_sequence", "opt_start_seq": ring.last + 1}
        self._breaks += state.created_at == self._created_at
        self._created_at = state.created_at
        since = self._clock.now() - timedelta(seconds=Bounds().oldest_s)
        self._fill_to = state.last_sequence
        epoch = _epoch(state.created_at, self._breaks)
        self._hub.begin(epoch, state.last_sequence, created_at=state.created_at, is_filled=False)
        return {"deliver_policy": "by_start_time", "opt_start_time": since.astimezone(UTC).isoformat()}

    async def _until_broken(self) -> None:
        while not self._again.is_set():
            silent_s = self._clock.monotonic() - self._heard_at
            if silent_s > SILENCE_S:
                detail = f"the feed's consumer has been silent for {silent_s:.0f} s"
                raise UpstreamUnavailable(detail)
            try:
                async with asyncio.timeout(HEARTBEAT_S / 2):
                    await self._again.wait()
            except TimeoutError:
                continue

    async def _hear(self, message: Heard) -> None:
        self._heard_at = self._clock.monotonic()
        if (message.headers or {}).get("Status") == "100":
            await self._answer_control(message)
            return
        place = _place_of(message.reply)
        if place is None or place.in_consumer != self._delivered + 1:
            self._again.set()
            return
        self._delivered = place.in_consumer
        ring = self._hub.ring
        if not self._hub.is_filled.is_set() and place.in_consumer == 1:
            # Where a fill begins is known with its first fact. Nobody reads yet.
            ring.begin(ring.epoch, place.in_stream - 1)
        elif place.in_stream != ring.last + 1:
            _log.error("stream_lost_facts", seen=ring.last, next=place.in_stream)
            self._hub.begin(ring.epoch, place.in_stream - 1, created_at=self._created_at or _EVER, is_filled=True)
        self._hub.see(place.in_stream, message.subject, message.data)
        self._note_filled()

    async def _answer_control(self, message: Heard) -> None:
        """Answer flow control, and begin again when a heartbeat tells of facts that did not come."""
        headers = message.headers or {}
        stalled = headers.get("Nats-Consumer-Stalled") or message.reply
        if stalled:
            await self._bus.publish(stalled, b"")
        elif int(headers.get("Nats-Last-Consumer", self._delivered)) > self._delivered:
            self._again.set()

    def _note_filled(self) -> None:
        if self._hub.ring.last >= self._fill_to:
            self._hub.is_filled.set()


def _consumer(subject: str, start: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "stream_name": EVENTS,
        "config": {
            **start,
            "deliver_subject": subject,
            "filter_subject": EVERY_FACT,
            "ack_policy": "none",
            "replay_policy": "instant",
            "max_deliver": 1,
            "flow_control": True,
            "idle_heartbeat": int(HEARTBEAT_S * SECOND_NS),
            "inactive_threshold": KEPT_WITHOUT_US_S * SECOND_NS,
            "mem_storage": True,
            "num_replicas": 1,
        },
    }


def _epoch(created_at: datetime, breaks: int) -> str:
    """Name a stream's incarnation; one that went back under the same name is another."""
    microseconds = int(created_at.timestamp() * 1_000_000)
    return f"{microseconds:x}" + (f"r{breaks}" if breaks else "")


def _place_of(reply: str) -> Place | None:
    """Read a delivery's numbers from its reply subject. Source: NATS ADR-15 (with and without domain and account)."""
    tokens = reply.split(".")
    if tokens[:2] != ["$JS", "ACK"] or len(tokens) not in {9, 11, 12}:
        return None
    numbers = tokens[4:] if len(tokens) == 9 else tokens[6:]
    return Place(in_stream=int(numbers[1]), in_consumer=int(numbers[2]))
