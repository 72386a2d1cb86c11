"""The relay: brings stored facts to the bus, in their order, until the bus has acknowledged each.

Invariants:
1. A fact is marked published only after its acknowledgement, in the transaction that read it; whatever is lost between
   is published again with the same id and the same bytes.
2. After a failure nothing later of the same key is published in that turn.
3. When EVENTS is another stream than the one published to, every fact still kept is published again, in order.
4. The lock saves work and is no pillar: two relays at once only publish twice.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from libs.common import log
from libs.common.db import Database, Unit
from libs.common.errors import AppError, UpstreamUnavailable
from libs.common.metrics import METRICS
from libs.common.outbox_rows import Stored
from libs.common.waiting import first_of

BATCH = 500
WINDOW = 64
PUBLISH_S = 6.0
"""How long the acknowledgements of a batch may take; below the ten seconds its transaction may sit idle."""
BUSY_S = 0.02
GATHER_S = 0.008
"""After facts were stored: what the same flow stores next goes along, and its own next request goes first."""
MAINTENANCE_S = 3600.0
RESET_S = 120.0

_log = log.get(__name__)
_AGE = METRICS.gauge("outbox_oldest_unpublished_seconds", "Age of the oldest fact that the bus has not acknowledged")
_PUBLISHED = METRICS.counter("outbox_published_total", "Facts the bus acknowledged")

# What is read beside the lock may be older than the lock: another relay's last turn may be read once more, and the bus
# drops what it has by its id. Without the lock nothing is read.
_TURN = """
with turn as materialized (
    select pg_try_advisory_xact_lock(hashtextextended('bookend.relay.' || $2, 0)) as ours,
           set_config('idle_in_transaction_session_timeout', '10s', true)
)
select turn.ours, (select epoch from {schema}.relay_state) as epoch, waiting.*,
       extract(epoch from clock_timestamp() - waiting.occurred_at)::float8 as age_s
from turn left join lateral (
    select {columns} from {schema}.outbox where published_at is null and turn.ours order by id limit $1
) as waiting on true
"""

_READ = "select {columns} from {schema}.outbox where published_at is null order by id limit $1"
_COLUMNS = "id, occurred_at, fact_id, subject, username, key, key_version, correlation_id, causation_id, data"

_MARK = """
update {schema}.outbox set published_at = clock_timestamp() where id = any($1) and occurred_at between $2 and $3
"""

_KEEP_EPOCH = """
insert into {schema}.relay_state (epoch) values ($1) on conflict (sole) do update set epoch = excluded.epoch
"""

# The same eight days that partitions are kept: whatever is older has no place in EVENTS either.
_RESET = """
with again as (
    update {schema}.outbox set published_at = null
    where published_at is not null and occurred_at > clock_timestamp() - interval '8 days'
    returning 1
)
select count(*) from again
"""


class Publisher(Protocol):
    """What the relay needs of the bus (`streams.Streams`)."""

    async def publish(self, subject: str, payload: bytes, msg_id: str) -> None:
        """Return once the message is stored. Raises: UpstreamUnavailable, or another AppError about this message."""
        ...

    async def epoch(self) -> datetime:
        """Return when EVENTS was made. Raises: UpstreamUnavailable."""
        ...


@dataclass(frozen=True)
class Turn:
    """What one turn did. `busy`: another relay held the lock."""

    read: int = 0
    published: int = 0
    busy: bool = False

    @property
    def is_stuck(self) -> bool:
        """Whether something it read could not be published."""
        return self.published < self.read

    @property
    def is_full(self) -> bool:
        """Whether there may be more right now."""
        return self.read == BATCH and not self.is_stuck


class Relay:
    """Publishes the outbox of one service; every replica runs one. Units: `poll_s` seconds."""

    def __init__(
        self,
        db: Database,
        publisher: Publisher,
        service: str | None = None,
        *,
        poll_s: float = 1.0,
        window: int = WINDOW,
    ) -> None:
        self._db = db
        self._publisher = publisher
        self._service = service or db.service
        self._poll_s = poll_s
        self._window = window
        self._woken = asyncio.Event()
        self._trouble = ""
        db.on_facts(self.wake)

    def wake(self) -> None:
        """Look at once: facts were stored, here or (by `wake.<service>`) in another replica."""
        self._woken.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Publish until `stopping`; what cannot be published now is tried again."""
        loop = asyncio.get_running_loop()
        maintain_at = loop.time()
        while not stopping.is_set():
            if loop.time() >= maintain_at:
                maintain_at = loop.time() + (MAINTENANCE_S if await self.maintain() else self._poll_s * 10)
            self._woken.clear()
            turn = await self._try_turn()
            if turn is None or turn.is_stuck:
                # Not woken by new facts: they would meet the same trouble.
                await first_of(stopping, within_s=self._poll_s)
            elif turn.busy:
                # The other may have read before our facts were stored.
                await first_of(stopping, within_s=BUSY_S)
            elif not turn.is_full:
                await first_of(stopping, self._woken, within_s=self._poll_s)
                if self._woken.is_set():
                    await asyncio.sleep(GATHER_S)

    async def flush(self, within_s: float) -> bool:
        """Publish what waits, for `within_s` at most; returns whether nothing is left. Units: seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while (turn := await self._try_turn()) is not None and not turn.is_stuck:
                    if turn.busy:
                        await asyncio.sleep(BUSY_S)
                    elif not turn.is_full:
                        return True
        return False

    async def turn(self) -> Turn:
        """Publish one batch in one transaction. Raises: UpstreamUnavailable, OutcomeUnknown (published, not marked)."""
        # Its commit need not wait for the disk: a mark that the server forgets makes a fact published twice.
        async with self._db.for_worker(waits_for_disk=False) as unit:
            found = await unit.fetch(_TURN.format(schema=unit.schema, columns=_COLUMNS), BATCH, self._service)
            if not found[0]["ours"]:
                return Turn(busy=True)
            _AGE.set(found[0]["age_s"] or 0)
            if await self._follow_epoch(unit, found[0]["epoch"]):
                found = await unit.fetch(_READ.format(schema=unit.schema, columns=_COLUMNS), BATCH)
            waiting = sorted((Stored.of(row) for row in found if row["id"] is not None), key=lambda one: one.place)
            acknowledged = await self._publish(waiting)
            if acknowledged:
                days = [one.occurred_at for one in acknowledged]
                places = [one.place for one in acknowledged]
                await unit.fetch(_MARK.format(schema=unit.schema), places, min(days), max(days))
        _PUBLISHED.inc(len(acknowledged))
        return Turn(read=len(waiting), published=len(acknowledged))

    async def maintain(self) -> bool:
        """Make the partitions of the coming days and drop those whose time is over; False when it did not work."""
        try:
            for function in ("make_partitions", "drop_partitions"):
                async with self._db.for_worker() as unit:
                    await unit.fetch(f"select {unit.schema}.{function}()")
        except AppError as error:
            _log.warning("partitions_not_kept", detail=error.detail)
            return False
        return True

    async def _try_turn(self) -> Turn | None:
        try:
            turn = await self.turn()
        except AppError as error:
            if self._trouble != error.detail:
                _log.warning("relay_waits", detail=error.detail)
            self._trouble = error.detail
            return None
        if self._trouble and not turn.busy and not turn.is_stuck:
            self._trouble = ""
            _log.info("relay_goes_on")
        return turn

    async def _follow_epoch(self, unit: Unit, kept: datetime | None) -> bool:
        """Let every fact still kept wait again when EVENTS is another than it was; says whether that changed any."""
        epoch = await self._publisher.epoch()
        if kept == epoch:
            return False
        await unit.fetch(_KEEP_EPOCH.format(schema=unit.schema), epoch)
        if kept is None:
            return False
        await unit.fetch("select set_config('statement_timeout', $1, true)", f"{RESET_S:g}s")
        again = await unit.fetch(_RESET.format(schema=unit.schema), timeout_s=RESET_S)
        _log.warning("events_stream_is_new", was=kept.isoformat(), now=epoch.isoformat(), again=again[0][0])
        return True

    async def _publish(self, waiting: Sequence[Stored]) -> list[Stored]:
        """Publish by key in order, many keys at once; returns what was acknowledged."""
        acknowledged: list[Stored] = []
        gate = asyncio.Semaphore(self._window)
        bus_is_away = asyncio.Event()

        async def publish_in_order(facts: Sequence[Stored]) -> None:
            for fact in facts:
                async with gate:
                    if bus_is_away.is_set():
                        return
                    try:
                        await self._publisher.publish(fact.subject, fact.payload, fact.fact_id)
                    except UpstreamUnavailable as error:
                        bus_is_away.set()
                        self._note_trouble(error)
                        return
                    except AppError as error:
                        _log.error("fact_cannot_be_published", fact_id=fact.fact_id, key=fact.key, detail=error.detail)
                        return
                acknowledged.append(fact)

        by_key: dict[str, list[Stored]] = defaultdict(list)
        for fact in waiting:
            by_key[fact.key].append(fact)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PUBLISH_S), asyncio.TaskGroup() as group:
                for facts in by_key.values():
                    group.create_task(publish_in_order(facts))
        return acknowledged

    def _note_trouble(self, error: AppError) -> None:
        if not self._trouble:
            _log.warning("relay_waits", detail=error.detail)
        self._trouble = error.detail
