"""Whole monitor processes: the stream's speed, the cycle as its net, and what is taken away under them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import pytest

from deploy.local.nats import EmbeddedNats
from deploy.local.postgres import EmbeddedPostgres
from libs.common.testing import TestDatabase, eventually
from tests.integration.chassis.buses import nats_server
from tests.integration.monitor.processes import CALM, QUICK, Watching
from tests.simulator.process import Trader

pytestmark = pytest.mark.integration
_NUMBERS = count(9001)


@pytest.fixture
def own_nats(tmp_path: Path) -> Iterator[EmbeddedNats]:
    with nats_server(tmp_path / "nats") as running:
        yield running


@pytest.fixture
async def house(
    database: TestDatabase, own_nats: EmbeddedNats, simulator: str, tmp_path: Path
) -> AsyncIterator[Watching]:
    trader = Trader(simulator, f"token-{next(_NUMBERS)}")
    trader.control("reset")
    trader.control("clock", session="open")
    made = Watching(database, own_nats, trader, tmp_path)
    async with made.playing_orders():
        yield made
    trader.control("reset")
    trader.close()


async def test_a_fill_is_told_within_a_second_of_the_account_stream(house: Watching) -> None:
    with house.monitor(CALM):
        order_id = await house.placed()
        await eventually(house.follows, 20)
        house.fill()
        (fact,) = await house.eventually_told(order_id, within_s=1.5)
        assert (await eventually(lambda: house.told(order_id), 5))[0]["key_version"] == fact["key_version"]


async def test_the_cycle_finds_a_fill_whose_event_was_lost(house: Watching) -> None:
    with house.monitor({**QUICK, "EVENT_STREAM": "true"}):
        order_id = await house.placed()
        await eventually(house.follows, 20)
        house.trader.control("faults", match={}, kind="lost_event", times=100)
        house.fill()
        await house.eventually_told(order_id, within_s=5)


async def test_two_replicas_tell_each_change_once_and_follow_one_stream(house: Watching) -> None:
    with house.monitor(QUICK | {"EVENT_STREAM": "true"}, "one"), house.monitor(QUICK | {"EVENT_STREAM": "true"}, "two"):
        order_id = await house.placed()
        await eventually(house.follows, 20)
        house.fill()
        await house.eventually_told(order_id, within_s=5)
        reads = len(house.requests("/orders"))
        await eventually(lambda: len(house.requests("/orders")) > reads + 5, 30)
        assert len(await house.told(order_id)) == 1
        assert len(house.requests("events/session")) == 1


async def test_polling_goes_on_without_the_bus_and_the_facts_leave_afterwards(house: Watching) -> None:
    # Jobs need no bus. Requests counted with other processes do (ADR 0014), so this one counts for itself.
    with house.monitor({**QUICK, "BUDGET_SHARED": "false"}):
        order_id = await house.placed()
        await eventually(house.has_read, 20)
        house.nats.stop()
        house.fill()
        (fact,) = await house.eventually_told(order_id, within_s=30)
        assert fact["published_at"] is None
        house.nats.start()

        async def has_left() -> bool:
            return all(one["published_at"] is not None for one in await house.told(order_id))

        await eventually(has_left, 20)


async def test_polling_that_counts_with_others_pauses_without_the_bus_and_catches_up(house: Watching) -> None:
    with house.monitor(QUICK):
        order_id = await house.placed()
        await eventually(house.has_read, 20)
        house.nats.stop()
        house.fill()
        house.nats.start()
        await house.eventually_told(order_id, within_s=20)


async def test_a_database_that_comes_back_is_watched_on(house: Watching, postgres: EmbeddedPostgres) -> None:
    with house.monitor(QUICK) as process:
        order_id = await house.placed()
        await eventually(house.has_read, 20)
        postgres.stop()
        house.fill()
        postgres.start()
        # This server forgets its last commits, so the end of a run may be lost with its claim kept, for all of its
        # lease; a test need not wait for that.
        async with house.database.admin() as admin:
            await admin.execute("update monitor.jobs set claimed_until = now() where claimed_until is not null")
        await house.eventually_told(order_id, within_s=30)
        assert process.exit_code is None
        assert len(await house.told(order_id)) == 1


async def test_a_process_killed_between_reading_and_telling_loses_and_doubles_nothing(house: Watching) -> None:
    waits = "select 1 from pg_stat_activity where wait_event_type = 'Lock' and usename = 'monitor_service'"
    with house.monitor(QUICK, "killed") as process:
        order_id = await house.placed()
        await eventually(house.has_read, 20)
        async with house.database.admin() as holder, house.database.admin() as admin:
            async with holder.transaction():
                await holder.execute("select 1 from monitor.accounts for update")
                house.fill()
                await eventually(lambda: admin.fetchval(waits), 30)
                process.kill()
            # The claim of who died ends by itself after its lease; a test need not wait for it.
            await admin.execute("update monitor.jobs set claimed_until = now() where claimed_until is not null")
    assert await house.told(order_id) == []
    with house.monitor(QUICK, "next"):
        await house.eventually_told(order_id, within_s=20)
        reads = len(house.requests("/orders"))
        await eventually(lambda: len(house.requests("/orders")) > reads + 3, 30)
        assert len(await house.told(order_id)) == 1
