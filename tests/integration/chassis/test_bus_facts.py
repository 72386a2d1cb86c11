"""Facts over a real JetStream: brought until handled, dead-lettered when they cannot be, and back after every loss."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import nats
import orjson
import pytest
from nats.js.api import DiscardPolicy

from deploy.local.nats import EmbeddedNats
from libs.common import log
from libs.common.bus import LATEST, Bus, Context, consume
from libs.common.clock import SystemClock
from libs.common.consumers import BUG_TRIES, consumers_of
from libs.common.errors import AppError, Conflict, InvariantBroken, OutcomeUnknown, PoisonMessage, UpstreamUnavailable
from libs.common.ids import new_id
from libs.common.messages.base import Envelope, Fact
from libs.common.messages.durables import DEAD, DURABLES, EVENTS, MIB, SIGNALS
from libs.common.messages.forensics import LabelsComputed
from libs.common.messages.gateway import UserRegistered
from libs.common.streams import Streams
from libs.common.testing import eventually
from tests.integration.chassis.buses import bus_of, consuming, nats_server, restart

pytestmark = pytest.mark.integration


class Desk:
    """What handlers were given, and what they shall raise next, by username."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int]] = []
        self.contexts: list[Context] = []
        self.troubles: dict[str, list[Exception]] = {}

    def users(self) -> list[str]:
        return [user for user, _ in self.seen]


@consume(UserRegistered, durable="orders-users", accept=LATEST)
async def on_registered(fact: UserRegistered, ctx: Context, deps: Desk) -> None:
    """Write a newcomer down, or fail as told."""
    deps.seen.append((fact.username, ctx.deliveries))
    deps.contexts.append(ctx)
    troubles = deps.troubles.get(fact.username)
    if troubles:
        raise troubles.pop(0)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedNats]:
    with nats_server(tmp_path) as running:
        yield running


@pytest.fixture
async def publisher(server: EmbeddedNats) -> AsyncIterator[Streams]:
    async with bus_of(server, "gateway") as bus:
        streams = Streams(bus, service="gateway")
        await streams.ensure()
        yield streams


@pytest.fixture
async def orders(server: EmbeddedNats, publisher: Streams) -> AsyncIterator[Bus]:
    async with bus_of(server, "orders") as bus:
        yield bus


def envelope_of(fact: Fact, user: str, **more: Any) -> bytes:
    fields = {"id": new_id(), "user": user, "key": fact.key, "key_version": 1, "correlation_id": "c-1", **more}
    return Envelope(occurred_at=SystemClock().now(), **fields).encode(fact)


async def say(publisher: Streams, user: str, *, msg_id: str | None = None, **more: Any) -> None:
    fact = UserRegistered(username=user)
    await publisher.publish(UserRegistered.subject(user), envelope_of(fact, user, **more), msg_id or new_id())


async def say_until_stored(publisher: Streams, user: str) -> None:
    """Do as the relay does: the same fact under the same id until it is acknowledged."""
    msg_id = new_id()
    while True:
        try:
            await say(publisher, user, msg_id=msg_id)
        except UpstreamUnavailable:
            await asyncio.sleep(0.02)
        else:
            return


@asynccontextmanager
async def administrator(server: EmbeddedNats) -> AsyncIterator[Any]:
    connection = await nats.connect(server.url)
    try:
        yield connection
    finally:
        await connection.close()


async def pending(orders: Bus, durable: str = "orders-users") -> tuple[int, int]:
    """Say how many facts wait, and how many are out and not acked."""
    info = await Streams(orders, service="orders").api(f"CONSUMER.INFO.{EVENTS}.{durable}", {})
    assert info is not None
    return info["num_pending"], info["num_ack_pending"]


async def dead_letters(server: EmbeddedNats) -> list[Any]:
    async with administrator(server) as connection:
        context = connection.jetstream()
        count = (await context.stream_info(DEAD)).state.messages
        return [await context.get_msg(DEAD, seq=number + 1) for number in range(count)]


async def test_a_fact_reaches_its_handler_with_its_context_and_is_acked(publisher: Streams, orders: Bus) -> None:
    desk = Desk()
    correlations: list[str | None] = []

    @consume(UserRegistered, durable="orders-users", accept=LATEST)
    async def on_it(fact: UserRegistered, ctx: Context, deps: Desk) -> None:
        correlations.append(log.correlation_id.get())
        await on_registered(fact, ctx, deps)

    async with consuming(orders, on_it, deps=desk):
        await say(publisher, "bob", key_version=7, id="fact-1")
        await eventually(lambda: desk.seen == [("bob", 1)])
        await eventually(lambda: _none_wait(orders))
    (context,) = desk.contexts
    assert (context.id, context.user, context.key, context.key_version) == ("fact-1", "bob", "bob", 7)
    assert (context.consumer, correlations) == ("orders-users", ["c-1"])


async def _none_wait(orders: Bus) -> bool:
    return await pending(orders) == (0, 0)


async def test_facts_from_before_the_consumer_was_made_are_delivered(publisher: Streams, orders: Bus) -> None:
    desk = Desk()
    for number in range(30):
        await say(publisher, f"user{number}")
    async with consuming(orders, on_registered, deps=desk):
        await eventually(lambda: len(desk.seen) == 30)
    assert {user for user, _ in desk.seen} == {f"user{number}" for number in range(30)}


async def test_the_same_message_id_is_stored_once(publisher: Streams) -> None:
    before = (await publisher.state(EVENTS)).last_sequence
    for _ in range(3):
        await say(publisher, "bob", msg_id="the-same")
    assert (await publisher.state(EVENTS)).last_sequence == before + 1


@pytest.mark.parametrize("trouble", [UpstreamUnavailable("the database is away"), OutcomeUnknown("lost in commit")])
async def test_what_is_in_trouble_comes_again(publisher: Streams, orders: Bus, trouble: AppError) -> None:
    desk = Desk()
    desk.troubles["bob"] = [trouble, trouble]
    async with consuming(orders, on_registered, deps=desk):
        await say(publisher, "bob")
        await say(publisher, "alice")
        await eventually(lambda: desk.users().count("bob") == 3)
        await eventually(lambda: _none_wait(orders))
    assert [deliveries for user, deliveries in desk.seen if user == "bob"] == [1, 2, 3]
    assert desk.users().count("alice") == 1


async def test_an_error_that_trying_again_cannot_change_is_acked(
    server: EmbeddedNats, publisher: Streams, orders: Bus
) -> None:
    desk = Desk()
    desk.troubles["bob"] = [Conflict("already there")]
    async with consuming(orders, on_registered, deps=desk):
        await say(publisher, "bob")
        await eventually(lambda: desk.seen)
        await eventually(lambda: _none_wait(orders))
    assert desk.users() == ["bob"]
    assert await dead_letters(server) == []


def _garbage() -> bytes:
    return b"\x00 not json"


def _without_a_field() -> bytes:
    return orjson.dumps({**orjson.loads(envelope_of(UserRegistered(username="bob"), "bob")), "data": {}})


def _somebody_elses() -> bytes:
    return envelope_of(UserRegistered(username="bob"), "alice")


@pytest.mark.parametrize("poison", [_garbage, _without_a_field, _somebody_elses])
async def test_poison_is_kept_with_its_reason_and_stops_nobody(
    server: EmbeddedNats, publisher: Streams, orders: Bus, poison: Callable[[], bytes]
) -> None:
    desk = Desk()
    raw = poison()
    async with consuming(orders, on_registered, deps=desk):
        await publisher.publish(UserRegistered.subject("bob"), raw, new_id())
        await say(publisher, "alice")
        await eventually(lambda: desk.users() == ["alice"])
        await eventually(lambda: _none_wait(orders))
    (letter,) = await dead_letters(server)
    assert letter.data == raw
    assert letter.subject == "dead.orders.orders-users"
    assert letter.headers["Bookend-Reason"] == PoisonMessage.code
    assert letter.headers["Bookend-Subject"] == UserRegistered.subject("bob")
    assert letter.headers["Bookend-Durable"] == "orders-users"
    assert letter.headers["Bookend-Detail"]


async def test_a_bug_is_tried_a_few_times_and_then_kept_without_secrets(
    server: EmbeddedNats, publisher: Streams, orders: Bus
) -> None:
    desk = Desk()
    desk.troubles["bob"] = [RuntimeError("GET /x?token=abcdef failed")] * 3 + [InvariantBroken("odd token=abcdef")] * 9
    async with consuming(orders, on_registered, deps=desk):
        await say(publisher, "bob")
        await eventually(lambda: len(desk.seen) == BUG_TRIES, within_s=20)
        await eventually(lambda: _none_wait(orders))
    (letter,) = await dead_letters(server)
    assert letter.headers["Bookend-Reason"] == InvariantBroken.code
    assert "abcdef" not in letter.headers["Bookend-Detail"]
    assert len(desk.seen) == BUG_TRIES


async def test_facts_nobody_handles_are_acked(server: EmbeddedNats, publisher: Streams) -> None:
    desk = Desk()
    async with bus_of(server, "monitor") as monitor, bus_of(server, "orders") as orders:

        @consume(LabelsComputed, durable="monitor-orders", accept=LATEST)
        async def never(fact: LabelsComputed, ctx: Context, deps: Desk) -> None:
            pytest.fail("it is not said")

        async with consuming(monitor, never, deps=desk):
            said = Streams(orders, service="orders")
            await eventually(lambda: _is_bound(monitor))
            await said.publish("evt.bob.orders.trade_closed", b"whatever", new_id())
            await eventually(lambda: _monitor_is_done(monitor))
    assert await dead_letters(server) == []


async def _is_bound(monitor: Bus) -> bool:
    return await Streams(monitor, service="monitor").exists(DURABLES["monitor-orders"])


async def _monitor_is_done(monitor: Bus) -> bool:
    info = await Streams(monitor, service="monitor").api(f"CONSUMER.INFO.{EVENTS}.monitor-orders", {})
    return info is not None and info["delivered"]["stream_seq"] > 0 and info["num_ack_pending"] == 0


async def test_restarts_under_load_lose_nothing(server: EmbeddedNats, publisher: Streams, orders: Bus) -> None:
    desk = Desk()
    said: list[str] = []
    enough = asyncio.Event()

    async def keep_saying(who: int) -> None:
        while not enough.is_set():
            user = f"u{who}-{len(said)}"
            await say_until_stored(publisher, user)
            said.append(user)

    async def fifty_more() -> None:
        before = len(set(desk.users()))
        await eventually(lambda: len(set(desk.users())) > before + 50, within_s=20)

    async with consuming(orders, on_registered, deps=desk), asyncio.TaskGroup() as tasks:
        for who in range(4):
            tasks.create_task(keep_saying(who))
        await fifty_more()
        for _ in range(2):
            await asyncio.to_thread(restart, server)
            await fifty_more()
        enough.set()
        await eventually(lambda: set(said) <= set(desk.users()), within_s=40)
    assert Counter(said).most_common(1)[0][1] == 1


async def test_a_lost_data_directory_heals_with_another_epoch(
    server: EmbeddedNats, publisher: Streams, orders: Bus
) -> None:
    desk = Desk()
    epoch = await publisher.epoch()
    async with consuming(orders, on_registered, deps=desk) as (consumer,):
        await say(publisher, "before")
        await eventually(lambda: desk.users() == ["before"])
        await asyncio.to_thread(restart, server, emptied=True)
        await eventually(lambda: publisher.bus.connected and orders.connected)
        await say_until_stored(publisher, "after")
        await eventually(lambda: "after" in desk.users())
        await eventually(lambda: (consumer.age_s() or 99) < 5)
    assert await publisher.epoch() != epoch


async def test_streams_deleted_under_a_live_connection_heal_too(
    server: EmbeddedNats, publisher: Streams, orders: Bus
) -> None:
    desk = Desk()
    epoch = await publisher.epoch()
    async with consuming(orders, on_registered, deps=desk):
        await say(publisher, "before")
        await eventually(lambda: desk.users() == ["before"])
        async with administrator(server) as connection:
            await connection.jetstream().delete_stream(EVENTS)
        await say_until_stored(publisher, "after")
        await eventually(lambda: "after" in desk.users(), within_s=15)
    assert await publisher.epoch() != epoch


async def test_a_durable_deleted_under_its_consumer_is_made_again(
    server: EmbeddedNats, publisher: Streams, orders: Bus
) -> None:
    desk = Desk()
    async with consuming(orders, on_registered, deps=desk):
        await say(publisher, "before")
        await eventually(lambda: desk.users() == ["before"])
        async with administrator(server) as connection:
            await connection.jetstream().delete_consumer(EVENTS, "orders-users")
        await say(publisher, "after")
        # Deliver-all: what was handled comes again, and the handler's dedupe is what drops it.
        await eventually(lambda: desk.users() == ["before", "before", "after"], within_s=15)


async def test_making_streams_is_idempotent_and_may_happen_at_once(server: EmbeddedNats) -> None:
    async with bus_of(server, "orders") as one, bus_of(server, "monitor") as two:
        every = [Streams(bus, service=bus.name) for bus in (one, two, one, two)]
        epochs = await asyncio.gather(*(streams.ensure() for streams in every))
        assert len(set(epochs)) == 1
        assert await every[0].ensure() == epochs[0]


async def test_a_durable_that_is_not_as_stated_is_refused(server: EmbeddedNats, publisher: Streams) -> None:
    async with administrator(server) as connection:
        await connection.jetstream().add_consumer(
            EVENTS, durable_name="orders-users", filter_subject="evt.*.gateway.user_registered", ack_wait=5
        )
    async with bus_of(server, "orders") as orders:
        with pytest.raises(InvariantBroken, match=r"durable orders-users is not as stated.*ack_wait"):
            await Streams(orders, service="orders").ensure()


async def test_what_bots_send_and_what_lies_dead_has_room_of_its_own_and_a_stream_from_before_that_goes_on(
    server: EmbeddedNats,
) -> None:
    async with bus_of(server, "orders") as orders, administrator(server) as connection:
        streams, manager = Streams(orders, service="orders"), connection.jsm()
        await streams.ensure()
        found = {name: (await manager.stream_info(name)).config for name in (EVENTS, DEAD, SIGNALS)}
        assert {name: config.max_bytes for name, config in found.items()} == {
            EVENTS: -1, DEAD: 1024 * MIB, SIGNALS: 256 * MIB,
        }  # fmt: skip
        assert (found[SIGNALS].discard, found[DEAD].discard) == (DiscardPolicy.NEW, DiscardPolicy.OLD)
        await manager.delete_stream(DEAD)
        await manager.add_stream(found[DEAD].evolve(max_bytes=-1))
        await streams.ensure()
        assert (await manager.stream_info(DEAD)).config.max_bytes == -1


async def test_a_message_over_the_limit_is_our_bug_and_not_sent(publisher: Streams) -> None:
    with pytest.raises(InvariantBroken, match="are over 524288"):
        await publisher.publish(UserRegistered.subject("bob"), b"x" * (512 * 1024 + 1), new_id())


async def test_publishing_while_away_is_said_at_once(server: EmbeddedNats, publisher: Streams) -> None:
    server.stop()
    await eventually(lambda: not publisher.bus.connected)
    with pytest.raises(UpstreamUnavailable, match="not connected"):
        await say(publisher, "bob")
    server.start()
    await say_until_stored(publisher, "bob")


async def test_two_handlers_for_one_fact_or_a_foreign_durable_are_refused(orders: Bus) -> None:
    streams = Streams(orders, service="orders")
    with pytest.raises(ValueError, match="one handler"):
        consumers_of([on_registered, on_registered], service="orders", streams=streams, deps=None, clock=SystemClock())
    with pytest.raises(ValueError, match="orders-users is orders's"):
        consumers_of([on_registered], service="monitor", streams=streams, deps=None, clock=SystemClock())
    with pytest.raises(ValueError, match="no durable is called"):
        consume(UserRegistered, durable="orders-nobody", accept=LATEST)
