"""The consume loop: brings the facts of a service's durables to their handlers, and alone acks them.

Invariants:
1. A fact is acked after its handler ended well, or when its error says that trying again would answer the same.
2. What cannot be handled is on DEAD before it is acked.
3. Nothing ends the loop but stopping: it comes back after the bus, the stream or the durable was away.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from typing import Any

from libs.common import log
from libs.common.clock import Clock
from libs.common.errors import AppError, Disposition, InvariantBroken, PoisonMessage, UpstreamError
from libs.common.handlers import Consumes, Context, Raw, Receives, is_marked, marked
from libs.common.ids import derived_id
from libs.common.messages.base import Envelope
from libs.common.messages.durables import DURABLES, Durable
from libs.common.metrics import METRICS
from libs.common.streams import ACK_WAIT_S, Delivery, Pull, Streams

_log = log.get(__name__)
_CONSUMED = METRICS.counter(
    "facts_total", "Facts brought to their handlers, by how it ended", ["durable", "topic", "outcome"]
)
_SECONDS = METRICS.histogram("fact_seconds", "Time a fact's handler took", ["durable"])
_AGE = METRICS.gauge("fact_age_seconds", "Age of the fact last handled", ["durable"])

FETCH_S = 5.0
BATCH = 20
AT_ONCE = 4
IN_PROGRESS_S = ACK_WAIT_S / 3
BUG_TRIES = 5
FIRST_DELAY_S = 0.25
LONGEST_DELAY_S = 30.0


def delay_s(deliveries: int) -> float:
    """Say how long a fact waits after its nth delivery failed. Units: seconds, doubling, with jitter."""
    base_s: float = min(FIRST_DELAY_S * 2.0 ** min(deliveries - 1, 10), LONGEST_DELAY_S)
    return base_s * (0.75 + random.random() / 2)  # noqa: S311 - only jitter


class Consumer:
    """One durable of this process."""

    batch = BATCH
    at_once = AT_ONCE

    def __init__(
        self, durable: Durable, handlers: Sequence[Consumes], *, streams: Streams, deps: Any, clock: Clock
    ) -> None:
        self._durable = durable
        self._by_topic = {f"{kind.owner}.{kind.topic}": (kind, mark) for mark in handlers for kind in mark.messages}
        self._streams = streams
        self._deps = deps
        self._clock = clock
        self._failed: dict[int, int] = {}
        self._scope: asyncio.Timeout | None = None
        self._answered: float | None = None
        streams.bus.on_reconnected(self.interrupt)

    @property
    def name(self) -> str:
        """The durable's name."""
        return self._durable.name

    def age_s(self) -> float | None:
        """How long ago a fetch was last answered, None before the first. Units: seconds."""
        return None if self._answered is None else self._clock.monotonic() - self._answered

    def interrupt(self) -> None:
        """End the fetch that waits: after a reconnect it would wait for an answer that cannot come."""
        if self._scope is not None and not self._scope.expired():
            self._scope.reschedule(asyncio.get_running_loop().time())

    async def run(self, stopping: asyncio.Event) -> None:
        """Consume until `stopping`; the facts in hand are finished."""
        pull: Pull | None = None
        failures = 0
        while not stopping.is_set():
            try:
                if pull is None:
                    await self._streams.ensure()
                    pull = await self._streams.pull(self._durable)
                    self._answered = self._clock.monotonic()
                await self._turn(pull)
                failures = 0
            except Exception as error:  # noqa: BLE001 - the consume loop outlives whatever the library raises
                failures += 1
                unknown = None if isinstance(error, AppError) else error
                _log.warning("consumer_waits", durable=self._durable.name, reason=str(error), exc_info=unknown)
                if pull is not None:
                    await pull.close()
                    pull = None
                await _pause(min(0.2 * 2 ** min(failures, 5), 3.0), stopping)
        if pull is not None:
            await pull.close()

    async def _turn(self, pull: Pull) -> None:
        deliveries: list[Delivery] | None = None
        try:
            async with asyncio.timeout(FETCH_S + 1) as self._scope:
                deliveries = await pull.fetch(self.batch, FETCH_S)
        except TimeoutError:
            return
        finally:
            self._scope = None
        if deliveries:
            self._answered = self._clock.monotonic()
            await self._handle_batch(deliveries)
            return
        # Silence looks the same when the durable is gone: ask.
        if not await self._streams.exists(self._durable):
            detail = f"the durable {self._durable.name} is gone"
            raise UpstreamError(detail)
        self._answered = self._clock.monotonic()

    async def _handle_batch(self, deliveries: list[Delivery]) -> None:
        open_ones = set(deliveries)
        slots = asyncio.Semaphore(self.at_once)

        async def one(delivery: Delivery) -> None:
            async with slots:
                await self.handle(delivery)
                open_ones.discard(delivery)

        async with asyncio.TaskGroup() as tasks:
            keeping = tasks.create_task(_keep(open_ones))
            handling = [tasks.create_task(one(delivery)) for delivery in deliveries]
            await asyncio.wait(handling)
            keeping.cancel()

    async def handle(self, delivery: Delivery) -> None:
        """Run one fact's handler and settle the fact, whatever happens."""
        topic = self._topic(delivery)
        began = time.monotonic()
        try:
            outcome = await self._run(delivery)
        except Exception as error:  # noqa: BLE001 - the consume loop: every error is settled by its disposition
            outcome = await self._settle(delivery, topic, error)
        else:
            self._failed.pop(delivery.sequence, None)
            await delivery.ack()
        _SECONDS.labels(self._durable.name).observe(time.monotonic() - began)
        _CONSUMED.labels(self._durable.name, topic, outcome).inc()

    def _topic(self, delivery: Delivery) -> str:
        """Name what was delivered, in one of few words: it is a label."""
        return delivery.subject.rsplit(".", 1)[-1]

    async def _run(self, delivery: Delivery) -> str:
        _, user, owner, topic = delivery.subject.split(".", 3)
        found = self._by_topic.get(f"{owner}.{topic}")
        if found is None:
            return "not_ours"
        kind, mark = found
        envelope = Envelope.decode(delivery.data)
        if envelope.user != user:
            detail = "the user in the envelope is not the user of the subject"
            raise PoisonMessage(detail)
        fact = kind.decode(envelope.data)
        context = Context.of(envelope, user=user, consumer=self._durable.name, deliveries=delivery.deliveries)
        with log.bound_to(envelope.correlation_id, envelope.id):
            await mark.run(fact, context, self._deps)
        if context.accepted and mark.accept not in context.accepted:
            _log.error("fact_accepted_otherwise", durable=self.name, topic=topic, stated=mark.accept)
        _AGE.labels(self._durable.name).set((self._clock.now() - envelope.occurred_at).total_seconds())
        return "handled"

    async def _settle(self, delivery: Delivery, topic: str, error: Exception) -> str:
        known = error if isinstance(error, AppError) else InvariantBroken(f"{type(error).__name__}: {error}")
        about = {"durable": self._durable.name, "topic": topic, "sequence": delivery.sequence, "code": known.code}
        match known.disposition:
            case Disposition.DONE:
                _log.info("fact_refused", **about, detail=known.detail)
                await delivery.ack()
                return "refused"
            case Disposition.DEAD:
                return await self._bury(delivery, known, about)
            case Disposition.RETRY | Disposition.RECORD:
                if isinstance(known, InvariantBroken):
                    tries = self._failed[delivery.sequence] = self._failed.get(delivery.sequence, 0) + 1
                    _log.error("fact_failed", **about, tries=tries, exc_info=error)
                    if tries >= BUG_TRIES:
                        return await self._bury(delivery, known, about)
                else:
                    _log.warning("fact_waits", **about, detail=known.detail, deliveries=delivery.deliveries)
                await delivery.nak(delay_s(delivery.deliveries))
                return "again"

    async def _bury(self, delivery: Delivery, error: AppError, about: dict[str, Any]) -> str:
        try:
            await self._streams.bury(delivery, self._durable, error)
        except AppError as trouble:
            _log.warning("fact_not_buried", **about, reason=trouble.detail)
            await delivery.nak(delay_s(delivery.deliveries))
            return "again"
        self._failed.pop(delivery.sequence, None)
        _log.error("fact_dead_lettered", **about, detail=error.detail)
        await delivery.ack()
        return "dead"


class Intake(Consumer):
    """One durable of other people's words: nothing is read here, the handler takes them as they are.

    They come in bursts of many people's, and wait for the disk and for others, so more of them are in hand at once.
    """

    batch = 64
    at_once = 16

    def __init__(self, mark: Receives, *, streams: Streams, deps: Any, clock: Clock) -> None:
        super().__init__(DURABLES[mark.durable], (), streams=streams, deps=deps, clock=clock)
        self._receive = mark.run

    def _topic(self, delivery: Delivery) -> str:
        return self.name

    async def _run(self, delivery: Delivery) -> str:
        name = f"{self.name} {delivery.sequence}"
        raw = Raw(delivery.subject, delivery.data, derived_id(delivery.stored_at, name), delivery.deliveries)
        with log.bound_to(raw.id):
            await self._receive(raw, self._deps)
        return "handled"


def consumers_of(
    handlers: Sequence[Callable[..., Any]], *, service: str, streams: Streams, deps: Any, clock: Clock
) -> list[Consumer]:
    """Group marked handlers by durable. Raises: ValueError for another service's durable or a topic taken twice."""
    grouped: dict[str, list[Consumes]] = {}
    intakes = [marked(handler, Receives) for handler in handlers if is_marked(handler, Receives)]
    for handler in handlers:
        if is_marked(handler, Receives):
            continue
        mark = marked(handler, Consumes)
        grouped.setdefault(mark.durable, []).append(mark)
    for name, marks in grouped.items():
        kinds = [kind for mark in marks for kind in mark.messages]
        if DURABLES[name].service != service or len(kinds) != len(set(kinds)):
            message = f"the durable {name} is {DURABLES[name].service}'s, and each of its facts has one handler"
            raise ValueError(message)
    made = [Consumer(DURABLES[name], marks, streams=streams, deps=deps, clock=clock) for name, marks in grouped.items()]
    return made + [Intake(mark, streams=streams, deps=deps, clock=clock) for mark in intakes]


async def _keep(open_ones: set[Delivery]) -> None:
    """Tell the server every ten seconds that the facts in hand are being worked on."""
    while True:
        await asyncio.sleep(IN_PROGRESS_S)
        for delivery in list(open_ones):
            await delivery.in_progress()


async def _pause(seconds: float, stopping: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        return
