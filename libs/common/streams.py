"""The house's JetStream streams: made when missing, published to, read by durables, and remade when they were lost.

Invariants:
1. A stream or durable is created as `messages/durables.py` states it, never updated into something else or deleted.
2. Reading binds to a durable that `ensure` made and checked; the library never creates one by itself.
3. `epoch` changes exactly when EVENTS is another stream than before.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import nats.errors
import nats.js.errors
import orjson
from nats.aio.msg import Msg
from nats.js.client import JetStreamContext

from libs.common import log
from libs.common.bus import Bus
from libs.common.clock import Clock, SystemClock
from libs.common.errors import AppError, InvariantBroken, UpstreamUnavailable
from libs.common.messages.base import MAX_MESSAGE_BYTES
from libs.common.messages.durables import DEAD, DURABLES, EVENTS, STREAMS, Durable, Stream, dead_subject

_log = log.get(__name__)

SECOND_NS = 1_000_000_000
ACK_WAIT_S = 30
API_TIMEOUT_S = 5.0
EPOCH_KEPT_S = 10.0
API = "$JS.API"


@dataclass(frozen=True)
class StreamState:
    """What a stream says of itself. Time: `created_at` to the microsecond; it names the stream's incarnation."""

    created_at: datetime
    first_sequence: int
    last_sequence: int


class Delivery:
    """One fact in our hands until it is acked."""

    def __init__(self, message: Msg) -> None:
        self._message = message
        metadata = message.metadata
        self.subject: str = message.subject
        self.data: bytes = message.data
        self.deliveries: int = metadata.num_delivered or 1
        self.sequence: int = metadata.sequence.stream
        self.stored_at: datetime = metadata.timestamp

    async def ack(self) -> None:
        """Say that it is done; an ack that gets lost only brings the fact again."""
        with contextlib.suppress(nats.errors.Error, OSError):
            await self._message.ack()

    async def nak(self, delay_s: float) -> None:
        """Ask for it again after a while."""
        with contextlib.suppress(nats.errors.Error, OSError):
            await self._message.nak(delay=delay_s)

    async def in_progress(self) -> None:
        """Ask for another `ACK_WAIT_S` to finish it."""
        with contextlib.suppress(nats.errors.Error, OSError):
            await self._message.in_progress()


class Pull:
    """A binding to one durable."""

    def __init__(self, durable: Durable, subscription: JetStreamContext.PullSubscription) -> None:
        self.durable = durable
        self._subscription = subscription

    async def fetch(self, batch: int, timeout_s: float) -> list[Delivery]:
        """Wait for up to `batch` facts; none in time is an empty list. Raises: UpstreamUnavailable."""
        try:
            messages = await self._subscription.fetch(batch, timeout=timeout_s)
        except (nats.js.errors.APIError, nats.js.errors.NoStreamResponseError) as error:
            detail = f"the durable {self.durable.name} does not answer: {error}"
            raise UpstreamUnavailable(detail) from error
        except TimeoutError:
            return []
        except (nats.errors.Error, OSError) as error:
            detail = "the message bus is not connected"
            raise UpstreamUnavailable(detail) from error
        return [Delivery(message) for message in messages]

    async def close(self) -> None:
        """Stop listening for deliveries."""
        with contextlib.suppress(nats.errors.Error, OSError):
            await self._subscription.unsubscribe()


class Streams:
    """The streams and durables of one service's process."""

    def __init__(self, bus: Bus, *, service: str, replicas: int = 1, clock: Clock | None = None) -> None:
        self.bus = bus
        self._service = service
        self.replicas = replicas
        self._clock = clock or SystemClock()
        self._mending = asyncio.Lock()
        self._epoch: datetime | None = None
        self._epoch_until = 0.0
        bus.on_reconnected(self._forget_epoch)

    # ── making ───────────────────────────────────────────────────────────────────────────────────────────────────────

    async def ensure(self) -> datetime:
        """Make what is missing of our streams and durables; return the epoch. Raises: UpstreamUnavailable."""
        async with self._mending:
            for stream in STREAMS.values():
                if self._service in stream.creators:
                    await self._ensure_stream(stream)
            for durable in DURABLES.values():
                if durable.service == self._service:
                    await self._ensure_durable(durable)
            return await self._read_epoch()

    async def epoch(self) -> datetime:
        """Return when EVENTS was created, made now if it is missing; asked again after a reconnect or ten seconds."""
        if self._epoch is not None and self._clock.monotonic() < self._epoch_until:
            return self._epoch
        try:
            return await self._read_epoch()
        except UpstreamUnavailable:
            if not self.bus.connected:
                raise
        return await self.ensure()

    async def _read_epoch(self) -> datetime:
        self._epoch = (await self.state(EVENTS)).created_at
        self._epoch_until = self._clock.monotonic() + EPOCH_KEPT_S
        return self._epoch

    async def state(self, stream: str) -> StreamState:
        """Return what a stream says of itself. Raises: UpstreamUnavailable, also when there is no such stream."""
        found = await self.api(f"STREAM.INFO.{stream}", {})
        if found is None:
            detail = f"there is no stream {stream}"
            raise UpstreamUnavailable(detail)
        state = found["state"]
        return StreamState(datetime.fromisoformat(found["created"]), state["first_seq"], state["last_seq"])

    async def api(self, request: str, body: Mapping[str, Any]) -> dict[str, Any] | None:
        """Ask JetStream itself; None when what was asked for does not exist. Raises: UpstreamUnavailable."""
        message = await self.bus.request(f"{API}.{request}", orjson.dumps(body), timeout_s=API_TIMEOUT_S)
        if message is None:
            detail = f"JetStream did not answer {request}"
            raise UpstreamUnavailable(detail)
        answer: dict[str, Any] = orjson.loads(message.data)
        error = answer.get("error")
        if error is None:
            return answer
        if error["code"] == 404:
            return None
        detail = f"JetStream refused {request}: {error.get('description')}"
        raise UpstreamUnavailable(detail) if error["code"] == 503 else InvariantBroken(detail)

    async def _ensure_stream(self, stream: Stream) -> None:
        wanted = {
            "name": stream.name,
            "subjects": list(stream.subjects),
            "retention": "limits",
            "storage": "file",
            "discard": "old",
            "max_age": stream.max_age_s * SECOND_NS,
            "duplicate_window": int(stream.duplicate_window_s * SECOND_NS),
            "num_replicas": self.replicas,
            "deny_delete": True,
            "deny_purge": True,
        }
        if stream.is_queue:
            wanted |= {"retention": "workqueue", "discard": "new", "discard_new_per_subject": True}
            wanted |= {"max_msgs_per_subject": stream.most_per_subject, "max_msg_size": stream.max_message_bytes}
        found = await self.api(f"STREAM.INFO.{stream.name}", {})
        if found is None:
            bounds = {} if stream.max_bytes is None else {"max_bytes": stream.max_bytes}
            found = await self.api(f"STREAM.CREATE.{stream.name}", wanted | bounds)
            _log.warning("stream_created", stream=stream.name)
        elif stream.max_bytes is not None and found["config"].get("max_bytes") != stream.max_bytes:
            # One that was made before the bound was stated works as well, only without it; nobody may change it.
            _log.warning("stream_unbounded", stream=stream.name, wanted_bytes=stream.max_bytes)
        _compare(f"stream {stream.name}", wanted, found)

    async def _ensure_durable(self, durable: Durable) -> None:
        wanted = {
            "name": durable.name,
            "durable_name": durable.name,
            "deliver_policy": "all",
            "ack_policy": "explicit",
            "ack_wait": ACK_WAIT_S * SECOND_NS,
            "max_deliver": -1,
            "max_ack_pending": 5000,
            "filter_subject": durable.filter,
            "replay_policy": "instant",
        }
        found = await self.api(f"CONSUMER.INFO.{durable.stream}.{durable.name}", {})
        if found is None:
            create = f"CONSUMER.CREATE.{durable.stream}.{durable.name}.{durable.filter}"
            found = await self.api(create, {"stream_name": durable.stream, "config": wanted})
            _log.warning("durable_created", durable=durable.name)
        _compare(f"durable {durable.name}", wanted, found)

    def _forget_epoch(self) -> None:
        self._epoch_until = 0.0

    # ── publishing ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def publish(self, subject: str, payload: bytes, msg_id: str) -> None:
        """Store one message; returns once it is acknowledged. A repeat within the window is stored once.

        Raises: UpstreamUnavailable; when the stream was missing it has been remade, with another epoch.
        """
        if len(payload) > MAX_MESSAGE_BYTES:
            detail = f"{len(payload)} bytes for {subject} are over {MAX_MESSAGE_BYTES}"
            raise InvariantBroken(detail)
        await self._store(subject, payload, {"Nats-Msg-Id": msg_id})

    async def bury(self, delivery: Delivery, durable: Durable, error: AppError) -> None:
        """Keep what cannot be handled on DEAD, with its reason. Raises: UpstreamUnavailable."""
        headers = {
            "Nats-Msg-Id": f"{durable.name}:{delivery.sequence}:{(await self.epoch()).isoformat()}",
            "Bookend-Reason": error.code,
            "Bookend-Detail": str(log.redact(error.detail))[:500],
            "Bookend-Durable": durable.name,
            "Bookend-Subject": delivery.subject,
            "Bookend-Sequence": str(delivery.sequence),
        }
        await self._store(dead_subject(self._service, durable.name), delivery.data, headers)

    async def _store(self, subject: str, payload: bytes, headers: Mapping[str, str]) -> None:
        try:
            answer = await self.bus.request(subject, payload, timeout_s=API_TIMEOUT_S, headers=headers)
        except UpstreamUnavailable:
            if self.bus.connected:
                await self.ensure()
            raise
        if answer is None:
            detail = f"{subject} was not acknowledged"
            raise UpstreamUnavailable(detail)
        said = orjson.loads(answer.data)
        if "error" in said:
            detail = f"{subject} was refused: {said['error'].get('description')}"
            raise UpstreamUnavailable(detail)

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def pull(self, durable: Durable) -> Pull:
        """Bind to a durable that exists. Raises: UpstreamUnavailable."""
        if not self.bus.connected:
            detail = "the message bus is not connected"
            raise UpstreamUnavailable(detail)
        context = self.bus.client.jetstream()
        return Pull(durable, await context.pull_subscribe_bind(durable=durable.name, stream=durable.stream))

    async def exists(self, durable: Durable) -> bool:
        """Whether the durable is still there. Raises: UpstreamUnavailable."""
        return await self.api(f"CONSUMER.INFO.{durable.stream}.{durable.name}", {}) is not None


def _compare(what: str, wanted: Mapping[str, Any], found: Mapping[str, Any] | None) -> None:
    """Check a returned configuration. Raises: InvariantBroken naming what differs."""
    config = {} if found is None else found["config"]
    # The server leaves out what is false or zero.
    differs = {
        name: config.get(name) for name, value in wanted.items() if (config.get(name) or False) != (value or False)
    }
    if differs:
        detail = f"{what} is not as stated: {differs}"
        raise InvariantBroken(detail)


__all__ = ["DEAD", "EVENTS", "Delivery", "Pull", "StreamState", "Streams"]
