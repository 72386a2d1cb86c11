"""Others sell what has no exits, two trades meet one sale, and a second sending meets a broker that cannot be read."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from decimal import Decimal

import pytest

from libs.common.ids import new_id
from libs.common.messages.orders import AdjustTrade, Entry
from libs.common.messages.vocabulary import EntryType, Finding
from libs.common.testing import TestDatabase, eventually
from tests.integration.orders.checker import check
from tests.integration.orders.house import QUICK, House, a_house

pytestmark = pytest.mark.integration

BARE = {"sl_price": None, "tp_price": None}


async def test_a_holding_without_exits_that_others_offer_ends_when_they_have_sold_it(house: House) -> None:
    trade = await house.place(**BARE)
    await house.until(trade["id"], status="FILLED")
    await house.by_hand(side="sell_to_close", quantity=2, type="limit", price="5.00")
    assert await house.repair(trade["id"], Finding.MISMATCH) == "started"

    async def told() -> bool:
        return "foreign_exit" in await house.wrong(trade["id"])

    await eventually(told)
    # Nobody asks any more: monitor may be away.
    await house.price("5.10")
    row = await house.until(trade["id"], status="CLOSED", close_reason="CLOSED_AT_BROKER")
    assert row["realized_pnl"] >= Decimal("160.00")
    assert not await house.wrong(trade["id"])
    await check(house)


@dataclass
class Abreast:
    """Lets two looks be answered before either is counted."""

    arrived: asyncio.Barrier = field(default_factory=lambda: asyncio.Barrier(2))
    met: bool = False

    async def at(self, beat: str) -> None:
        """Wait once for the other."""
        if beat == "orders.inspect.answered" and not self.met:
            await asyncio.wait_for(self.arrived.wait(), 5)
            self.met = True


async def test_one_sale_ends_one_of_two_trades_that_see_it_at_the_same_time(database: TestDatabase, world: str) -> None:
    abreast = Abreast()
    async with a_house(database, world, beats=abreast) as house:
        first = await house.place(**BARE)
        # One of the two must be a recovered one: no other is let in beside it.
        async with house.admin() as admin:
            await admin.execute("update orders.trades set recovered_from = id, occ_symbol = 'SPY261218C00000001'")
        second = await house.place(**BARE)
        async with house.admin() as admin:
            await admin.execute("update orders.trades set occ_symbol = $1", house.occ)
        await house.by_hand(side="sell_to_close", quantity=2)
        both = (first["id"], second["id"])
        answers = await asyncio.gather(*(house.repair(trade_id, Finding.VANISHED) for trade_id in both))
        assert answers == ["started", "started"]

        async def judged() -> list[str] | None:
            async with house.admin() as admin:
                left = await admin.fetchval(
                    "select count(*) from orders.actions where state in ('REQUESTED', 'RUNNING')"
                )
            return None if left else sorted([(await house.trade(trade_id))["status"] for trade_id in both])

        assert await eventually(judged) == ["CLOSED", "FILLED"]
        assert abreast.met
        await check(house)


@dataclass
class Unreadable:
    """Lets the broker give no quotes once the old group was asked to go."""

    house: House | None = None

    async def at(self, beat: str) -> None:
        """Break it once."""
        if beat == "orders.cancel.answered" and self.house is not None:
            house, self.house = self.house, None
            await house.sim.control("faults", match={"method": "GET", "path": "quotes"}, kind="status_500", times=1000)


async def test_an_entry_that_is_to_be_sent_again_ends_when_the_broker_stays_unreadable(
    database: TestDatabase, world: str
) -> None:
    beats, waits = Unreadable(), replace(QUICK, send_by_s=2.0)
    async with a_house(database, world, beats=beats, waits=waits, otoco="limit_entries") as house:
        trade = await house.place(entry=Entry(type=EntryType.LIMIT, limit_price=Decimal("3.90")))
        await house.until(trade["id"], status="OPEN")
        beats.house = house
        version = (await house.trade(trade["id"]))["version"]
        adjust = AdjustTrade(idempotency_key=new_id(), trade_id=trade["id"], version=version, new_tp=Decimal("7.00"))
        await house.ask(adjust)
        row = await house.until(trade["id"], status="CLOSED", within_s=15)
        assert (row["close_reason"], row["reason"]) == ("CANCELLED", "never sent")
        assert [order["status"] for order in await house.sim.orders(house.account_id)] == ["canceled"]
        await house.sim.clear_faults()
        await check(house)
