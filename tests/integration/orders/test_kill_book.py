"""The kill switch over a whole book at a slow broker: all of it ends, and never more is bare than sales can follow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import pytest

from libs.broker.base import BrokerProvider, Priority
from libs.broker.budget import RateClass, UnlimitedBudget
from libs.broker.venue_clock import market_clock
from libs.common.messages.orders import PlaceTrade
from libs.common.messages.vocabulary import OptionType
from libs.common.testing import TestDatabase, eventually
from libs.market.clock import MarketClock
from services.orders import killing, kills
from tests.integration.orders.flows import DEEP
from tests.integration.orders.house import House, a_house
from tests.integration.orders.switching import engage, nothing_fires_on_release, state, trades, until_listed

pytestmark = pytest.mark.integration

HELD, WORKING = 14, 6

_BARE = """
select count(*) from orders.trades t
where t.username = $1 and t.status = 'CLOSING'
and exists (select from orders.broker_orders o
            where o.trade_id = t.id and o.role = 'STOP_LOSS' and o.cancel_at is not null)
and not exists (select from orders.broker_orders o
                where o.trade_id = t.id and o.role = 'CLOSE' and o.status <> 'INTENT')
"""


async def a_book(house: House) -> None:
    """Hold fourteen protected trades, and have six entries working."""
    commands: list[PlaceTrade] = []
    for number in range(HELD + WORKING):
        right = OptionType.CALL if number % 2 else OptionType.PUT
        house.contract = await house.sim.contract(right=right, nth=number // 2 - 5)
        await house.pin("4.00", "4.20")
        commands.append(house.placing(**({} if number < HELD else {"entry": DEEP})))
    for few in (commands[at : at + 4] for at in range(0, len(commands), 4)):
        await asyncio.gather(*(house.ask(command) for command in few))

    async def stands() -> bool:
        return [trade["protection"] for trade in await trades(house)].count("PROTECTED") == HELD

    await eventually(stands, within_s=30)


@asynccontextmanager
async def counting_bare(house: House) -> AsyncIterator[list[int]]:
    """Count all the while how many holdings have their exits down and no sale at the broker."""
    seen: list[int] = []
    over = asyncio.Event()

    async def look() -> None:
        while not over.is_set():
            async with house.admin() as admin:
                seen.append(await admin.fetchval(_BARE, house.user))
            await asyncio.sleep(0.01)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(look())
        yield seen
        over.set()


async def all_is_over(house: House) -> None:
    async def over() -> bool:
        return all(trade["status"] == "CLOSED" for trade in await trades(house))

    try:
        await eventually(over, within_s=60, every_s=0.1)
    except AssertionError:
        raise AssertionError(f"left: {await state(house)}") from None


async def test_twenty_trades_at_a_slow_broker_end_with_none_unaccounted_for(house: House) -> None:
    await a_book(house)
    await house.sim.control("toggles", latency_ms=250)
    before = len(await house.sim.requests())
    async with counting_bare(house) as bare:
        first = await engage(house)
        assert sum(len(rows) for rows in (first.closing, first.queued_for_open, first.unknown)) <= HELD + WORKING
        await all_is_over(house)
    found = await trades(house)
    assert [trade["close_reason"] for trade in found] == ["KILL_SWITCH"] * (HELD + WORKING)
    assert 1 <= max(bare) <= killing.MOST_BARE
    await until_listed(house)
    await house.sim.control("toggles", latency_ms=0)
    assert await reads_by_id(house, before) < 3 * HELD, "each cancel was read by itself"
    await nothing_fires_on_release(house)


async def test_a_sale_that_left_while_the_venue_was_asked_for_its_time_makes_room_at_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(killing, "MOST_BARE", 1)
    first = await house.protected()
    house.contract = await house.sim.contract(nth=1)
    await house.pin("4.00", "4.20")
    await house.protected()
    begun: list[int] = []

    async def waiting() -> int:
        return [trade["status"] for trade in await trades(house)].count("FILLED")

    async def has_left() -> bool:
        async with house.admin() as admin:
            bare = await admin.fetchval(_BARE, house.user)
        return not bare and await waiting() < 2

    async def slow(broker: BrokerProvider, *, now: datetime) -> MarketClock:
        """Answer when no holding is bare any more; note how many were not begun then."""
        begun.append(await waiting())
        if len(begun) > 1:
            await eventually(has_left)
        return await market_clock(broker, now=now)

    monkeypatch.setattr(kills, "market_clock", slow)
    await house.sim.control("toggles", latency_ms=400)
    await engage(house)
    await all_is_over(house)
    assert (await house.trade(first["id"]))["close_reason"] == "KILL_SWITCH"
    assert begun == [2, 1], "the second waited for another look"


class ShortBudget(UnlimitedBudget):
    """Grants what is asked, and says that so many writes are left."""

    writes = 0

    async def left(self, token_hash: str, rate_class: RateClass, priority: Priority, within_s: float) -> int:
        """Say what a test wants to be left."""
        return self.writes


async def test_while_the_request_budget_is_short_holdings_keep_their_exits_and_go_as_sales_can_follow(
    database: TestDatabase, world: str
) -> None:
    budget = ShortBudget()
    async with a_house(database, world, budget=budget) as house:
        for number in range(3):
            house.contract = await house.sim.contract(nth=number)
            await house.pin("4.00", "4.20")
            await house.protected()
        before = len(await house.sim.writes(house.account_id))
        await engage(house)
        waiting = await until_listed(house, closing=3)
        assert {row.reason for row in waiting.closing} == {"waits for its turn; its exits rest"}

        async def has_looked() -> bool:
            async with house.admin() as admin:
                sql = "select run from orders.jobs where kind = 'kill' and key = $1"
                return int(await admin.fetchval(sql, house.user)) > 3

        await eventually(has_looked)
        assert len(await house.sim.writes(house.account_id)) == before, (
            "an exit was taken down without a sale to follow"
        )
        async with counting_bare(house) as bare:
            budget.writes = 2
            await all_is_over(house)
        assert max(bare) <= 1, "each costs a cancel and a sale"
        assert {trade["close_reason"] for trade in await trades(house)} == {"KILL_SWITCH"}


async def reads_by_id(house: House, before: int) -> int:
    """Count since then how often single orders were read."""
    seen: list[dict[str, Any]] = (await house.sim.requests())[before:]
    return sum(one["method"] == "GET" and "/orders/" in one["path"] for one in seen)


async def test_a_switch_whose_process_dies_in_the_middle_is_carried_on_by_another(
    database: TestDatabase, world: str
) -> None:
    async with a_house(database, world) as house:
        await a_book(house)
        await house.sim.control("toggles", latency_ms=250)
        await engage(house)
        house.stopping.set()
    async with a_house(database, world, user=house.user, quote=None) as other:
        await other.let_claims_end()
        await all_is_over(other)
        await other.sim.control("toggles", latency_ms=0)
        await nothing_fires_on_release(other)


async def test_while_the_bus_is_away_the_switch_goes_on(house: House) -> None:
    held = await house.protected()
    house.bus.connected = False
    await engage(house)
    await house.until(held["id"], status="CLOSED", close_reason="KILL_SWITCH")
    house.bus.connected = True
    await nothing_fires_on_release(house)
