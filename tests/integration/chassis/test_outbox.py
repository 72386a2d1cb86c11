"""Every fact reaches the bus at least once, in the order of its key, whatever breaks in between."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from datetime import UTC, datetime, timedelta

import orjson
import pytest

from libs.common import outbox
from libs.common.db import Database
from libs.common.errors import InvariantBroken, OutcomeUnknown, UpstreamUnavailable
from libs.common.messages.base import Envelope
from libs.common.messages.gateway import UserRegistered
from libs.common.outbox import Relay
from libs.common.testing import TestDatabase, eventually
from tests.integration.chassis.conftest import SERVICE

pytestmark = pytest.mark.integration


class FakeEvents:
    """A stream that remembers: drops repeats by id as JetStream does, fails when told, and can be lost whole."""

    def __init__(self) -> None:
        self.created_at = datetime(2026, 1, 1, tzinfo=UTC)
        self.stored: list[Envelope] = []
        self.raw: dict[str, bytes] = {}
        self.tries = 0
        self.is_away = False
        self.refuses_key = ""
        self.fails_at: set[int] = set()
        self.lets_wait: asyncio.Event | None = None

    async def publish(self, subject: str, payload: bytes, msg_id: str) -> None:
        self.tries += 1
        if self.is_away or self.tries in self.fails_at:
            raise UpstreamUnavailable("the bus is away")
        envelope = Envelope.decode(payload)
        if envelope.key == self.refuses_key:
            raise InvariantBroken("this one can never be published")
        assert envelope.id == msg_id
        assert subject == f"evt.{envelope.user}.gateway.user_registered"
        if self.lets_wait is not None:
            await self.lets_wait.wait()
        await asyncio.sleep(0)
        assert self.raw.setdefault(msg_id, payload) == payload, "published again with other bytes"
        if all(one.id != msg_id for one in self.stored):
            self.stored.append(envelope)

    async def epoch(self) -> datetime:
        if self.is_away:
            raise UpstreamUnavailable("the bus is away")
        return self.created_at

    def lose_everything(self) -> None:
        self.stored = []
        self.created_at += timedelta(days=1)

    def versions(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = defaultdict(list)
        for one in self.stored:
            found[one.key or ""].append(one.key_version or 0)
        return dict(found)


@pytest.fixture
def events() -> FakeEvents:
    return FakeEvents()


@pytest.fixture
def relay(db: Database, events: FakeEvents) -> Relay:
    return Relay(db, events, SERVICE, poll_s=0.02)


async def say(db: Database, key: str, *versions: int) -> None:
    async with db.for_user("ann") as unit:
        unit.lock_taken(key)
        for version in versions:
            unit.emit(UserRegistered(username=key), key_version=version)


async def unpublished(house: TestDatabase) -> int:
    async with house.admin() as admin:
        return int(await admin.fetchval("select count(*) from orders.outbox where published_at is null"))


async def cut_all(house: TestDatabase) -> None:
    async with house.admin() as admin:
        await admin.execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'orders_service'")


async def test_facts_are_published_in_the_order_they_were_said(db: Database, relay: Relay, events: FakeEvents) -> None:
    await say(db, "a", 1, 2, 3)
    await say(db, "b", 1)
    await say(db, "a", 4)
    turn = await relay.turn()
    assert (turn.read, turn.published) == (5, 5)
    assert events.versions() == {"a": [1, 2, 3, 4], "b": [1]}
    assert (await relay.turn()).read == 0


async def test_an_envelope_says_when_by_the_databases_clock(db: Database, relay: Relay, events: FakeEvents) -> None:
    async with db.for_worker() as unit:
        before = await unit.now()
    await say(db, "a", 1)
    await relay.turn()
    async with db.for_worker() as unit:
        assert before < events.stored[0].occurred_at < await unit.now()
    assert orjson.loads(next(iter(events.raw.values())))["data"] == {"username": "a"}


async def test_a_commit_wakes_the_relay_of_its_process(db: Database, events: FakeEvents) -> None:
    relay = Relay(db, events, SERVICE, poll_s=60)
    stopping = asyncio.Event()
    running = asyncio.create_task(relay.run(stopping))
    await say(db, "a", 1)
    await eventually(lambda: events.versions() == {"a": [1]})
    await say(db, "a", 2)
    await eventually(lambda: events.versions() == {"a": [1, 2]})
    stopping.set()
    await running


async def test_a_fact_of_another_process_is_found_by_polling(
    house: TestDatabase, relay: Relay, events: FakeEvents
) -> None:
    stopping = asyncio.Event()
    running = asyncio.create_task(relay.run(stopping))
    async with house.opened(SERVICE) as other:
        await say(other, "a", 1)
    await eventually(lambda: events.versions() == {"a": [1]})
    stopping.set()
    await running


async def test_a_failure_stops_its_key_and_marks_nothing_after_it(
    house: TestDatabase, db: Database, relay: Relay, events: FakeEvents
) -> None:
    await say(db, "a", 1, 2, 3, 4)
    events.fails_at = {3}
    turn = await relay.turn()
    assert (turn.read, turn.published, turn.is_stuck) == (4, 2, True)
    assert await unpublished(house) == 2
    await relay.turn()
    assert events.versions() == {"a": [1, 2, 3, 4]}


async def test_a_fact_that_can_never_be_published_holds_up_only_its_key(
    house: TestDatabase, db: Database, relay: Relay, events: FakeEvents
) -> None:
    await say(db, "bad", 1, 2)
    await say(db, "good", 1, 2)
    events.refuses_key = "bad"
    await relay.turn()
    assert events.versions() == {"good": [1, 2]}
    assert await unpublished(house) == 2


async def test_while_the_bus_is_away_nothing_is_lost_and_the_age_grows(
    house: TestDatabase, db: Database, relay: Relay, events: FakeEvents
) -> None:
    events.is_away = True
    await say(db, "a", 1, 2)
    stopping = asyncio.Event()
    running = asyncio.create_task(relay.run(stopping))
    await eventually(lambda: outbox._AGE._value.get() > 0.05)
    assert events.stored == []
    events.is_away = False
    await eventually(lambda: events.versions() == {"a": [1, 2]})
    await eventually(lambda: outbox._AGE._value.get() == 0)
    stopping.set()
    await running
    assert await unpublished(house) == 0


async def test_a_relay_cut_off_after_publishing_publishes_the_same_again(
    house: TestDatabase, db: Database, relay: Relay, events: FakeEvents
) -> None:
    await say(db, "a", 1, 2)
    events.lets_wait = asyncio.Event()
    turn = asyncio.create_task(relay.turn())
    await eventually(lambda: events.tries == 1)
    await cut_all(house)
    events.lets_wait.set()
    with pytest.raises(UpstreamUnavailable):
        await turn
    assert events.versions() == {"a": [1, 2]}
    assert await unpublished(house) == 2
    assert (await relay.turn()).published == 2
    assert events.tries == 4
    assert events.versions() == {"a": [1, 2]}


async def test_a_second_relay_waits_its_turn_and_a_dead_ones_lock_is_gone(
    house: TestDatabase, db: Database, relay: Relay, events: FakeEvents
) -> None:
    await say(db, "a", 1)
    events.lets_wait = asyncio.Event()
    first = asyncio.create_task(relay.turn())
    await eventually(lambda: events.tries == 1)
    async with house.opened(SERVICE) as other:
        second = Relay(other, events, SERVICE)
        assert (await second.turn()).busy
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        events.lets_wait.set()
        await eventually(lambda: _published(second))
    assert events.versions() == {"a": [1]}


async def _published(relay: Relay) -> bool:
    return (await relay.turn()).published == 1


async def test_a_new_stream_gets_everything_that_is_kept_in_order(
    house: TestDatabase, db: Database, relay: Relay, events: FakeEvents
) -> None:
    await say(db, "a", 1, 2)
    await relay.turn()
    await say(db, "b", 1)
    await relay.turn()
    await say(db, "a", 3)
    events.lose_everything()
    await relay.turn()
    assert events.versions() == {"a": [1, 2, 3], "b": [1]}
    assert await unpublished(house) == 0
    assert (await relay.turn()).read == 0


async def test_more_than_a_batch_is_published_without_waiting(db: Database, events: FakeEvents) -> None:
    relay = Relay(db, events, SERVICE, poll_s=60)
    await say(db, "a", *range(1, 701))
    await say(db, "b", *range(1, 401))
    assert await relay.flush(10)
    assert events.versions() == {"a": list(range(1, 701)), "b": list(range(1, 401))}


async def test_flushing_gives_up_when_the_bus_is_away(db: Database, relay: Relay, events: FakeEvents) -> None:
    await say(db, "a", 1)
    events.is_away = True
    assert not await relay.flush(1)


async def test_facts_keep_their_keys_order_under_concurrent_writers_relays_and_cuts(
    house: TestDatabase, db: Database, events: FakeEvents
) -> None:
    """Each writer raises its key's version under the row's lock, while relays race and sessions are ended."""
    keys = [f"k{n}" for n in range(6)]
    async with house.admin() as admin:
        await admin.executemany(
            "insert into orders.things (id, username, version) values ($1, 'ann', 0)", [(k,) for k in keys]
        )
    raise_version = "update orders.things set version = version + 1 where id = $1 returning version"

    async def write(key: str) -> None:
        done = 0
        while done < 15:
            try:
                async with db.for_user("ann") as unit:
                    version = (await unit.fetch(raise_version, key))[0][0]
                    unit.lock_taken(key)
                    unit.emit(UserRegistered(username=key), key_version=version)
            except (UpstreamUnavailable, OutcomeUnknown):
                continue
            done += 1

    stopping = asyncio.Event()
    async with house.opened(SERVICE) as second, house.opened(SERVICE) as third, asyncio.TaskGroup() as group:
        for own in (second, third):
            group.create_task(Relay(own, events, SERVICE, poll_s=0.01).run(stopping))
        writers = [group.create_task(write(key)) for key in keys for _ in range(2)]
        for _ in range(5):
            await asyncio.wait(writers, timeout=0.05)
            await cut_all(house)
        await asyncio.wait(writers)
        await eventually(lambda: _none_left(house), within_s=10)
        stopping.set()
    for key in keys:
        got = events.versions()[key]
        assert got == list(range(1, len(got) + 1))
        assert len(got) >= 30


async def _none_left(house: TestDatabase) -> bool:
    return await unpublished(house) == 0
