"""Stops that are passed: with a limit behind them that nobody takes, after "ok", and while exits are moved."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import orjson
import pytest

from libs.common.errors import UpstreamRefused
from libs.common.ids import new_id
from libs.common.messages.orders import AdjustTrade, Entry
from libs.common.messages.vocabulary import EntryType
from libs.common.testing import eventually
from tests.integration.orders.checker import check
from tests.integration.orders.house import EITHER_WAY, House

pytestmark = pytest.mark.integration

LOW = Entry(type=EntryType.LIMIT, limit_price=Decimal("3.90"))
ORDERS = r"/accounts/[^/]+/orders$"


async def choose(house: House, **changes: Any) -> None:
    """Change the user's settings."""
    async with house.db.for_user(house.user) as unit:
        sql = "update orders.trading_settings set settings = settings || $1::text::jsonb returning username"
        await unit.json(sql, orjson.dumps(changes).decode())


@pytest.fixture
async def limited(house: House) -> House:
    """Let stops have a limit a dime below them."""
    await choose(house, stop_limit_offset="0.10")
    return house


@EITHER_WAY
async def test_a_stop_with_a_limit_that_nobody_takes_is_sold_as_that_stop(limited: House) -> None:
    trade = await limited.place(entry=LOW)
    await limited.pin("3.70", "3.80")
    await limited.until(trade["id"], telling=True, protection="PROTECTED")
    stop = (await limited.sim.orders(limited.account_id))[-1]["leg"][-1]
    assert (stop["type"], stop["stop"], stop["price"]) == ("stop_limit", 3.0, 2.9)
    await limited.pin("2.50", "2.70")
    row = await limited.until(trade["id"], telling=True, status="CLOSED")
    assert row["close_reason"] == "SL_HIT"
    story = await limited.story(trade["id"])
    assert any("the stop 3.00 is reached" in line for line in story)
    sale = (await limited.sim.orders(limited.account_id))[-1]
    assert (sale["type"], sale["status"], sale["avg_fill_price"]) == ("market", "filled", 2.5)
    await limited.until_quiet(trade["id"])
    await check(limited)


async def test_a_stop_with_a_limit_that_is_taken_needs_no_sale(limited: House) -> None:
    trade = await limited.protected()
    await limited.pin("2.95", "3.10")
    row = await limited.until(trade["id"], telling=True, status="CLOSED")
    assert row["close_reason"] == "SL_HIT"
    await limited.until_quiet(trade["id"])
    assert [top["class"] for top in await limited.sim.orders(limited.account_id)] == ["option", "oco"]
    await check(limited)


async def test_a_stop_with_a_limit_is_seen_while_nobody_brings_marks(limited: House) -> None:
    trade = await limited.protected()
    async with limited.database.admin() as admin:
        await admin.execute("update orders.marks set current_price = 9 where trade_id = $1", trade["id"])
    limited.bus.connected = False
    await limited.pin("2.50", "2.70")
    row = await limited.until(trade["id"], status="CLOSED")
    assert row["close_reason"] == "SL_HIT"
    await check(limited)


async def test_a_stop_with_a_limit_stays_over_a_closed_session(limited: House) -> None:
    trade = await limited.protected()
    await limited.sim.control("clock", session="closed")
    await limited.pin("2.50", "2.70")
    trigger = "select triggered_at from orders.broker_orders where trade_id = $1 and role = 'STOP_LOSS'"
    looks = "select count(*) from orders.jobs where kind = 'stop_limit'"

    async def looked() -> bool:
        async with limited.database.admin() as admin:
            return bool(await admin.fetchval(looks))

    await eventually(looked)
    async with limited.database.admin() as admin:
        assert await admin.fetchval(trigger, trade["id"]) is None
    assert (await limited.trade(trade["id"]))["protection"] == "PROTECTED"
    await limited.sim.control("clock", session="open")
    row = await limited.until(trade["id"], telling=True, status="CLOSED")
    assert row["close_reason"] == "SL_HIT"
    await check(limited)


async def test_exits_taken_down_after_ok_for_a_passed_stop_end_in_one_sale(house: House) -> None:
    trade = await house.place(entry=LOW)
    await house.fault("reject_later", path=ORDERS)
    await house.pin("3.70", "3.80")
    await house.sync()

    async def taken() -> bool:
        return len(await house.sim.orders(house.account_id)) == 2

    await eventually(taken)
    await house.pin("2.90", "3.00")
    row = await house.until(trade["id"], telling=True, status="CLOSED")
    assert row["close_reason"] == "SL_HIT"
    sales = [top for top in await house.sim.orders(house.account_id) if top["type"] == "market"]
    assert len(sales) == 1
    await check(house)


@pytest.mark.parametrize("times", [1, 2])
async def test_an_adjust_refused_after_all_brings_the_old_exits_back(house: House, times: int) -> None:
    trade = await house.protected()
    await house.fault("reject_later", path=ORDERS, times=times)
    command = AdjustTrade(
        idempotency_key=new_id(), trade_id=trade["id"], version=trade["version"], new_tp=Decimal("7.00")
    )
    await asyncio.gather(house.ask(command), return_exceptions=True)

    async def back() -> bool:
        await house.sync()
        row, tops = await house.trade(trade["id"]), await house.sim.orders(house.account_id)
        is_back = (row["tp_price"], row["protection"]) == (Decimal("6.00"), "PROTECTED")
        return is_back and len(tops) == 3 + times and sum(top["status"] == "open" for top in tops) == 1

    await eventually(back, within_s=12, every_s=0.1)
    assert any("asked for again" in line for line in await house.story(trade["id"]))
    await check(house)


async def test_an_adjust_refused_at_once_keeps_the_old_exits(house: House) -> None:
    trade = await house.protected()
    await house.fault("status_400", path=ORDERS)
    command = AdjustTrade(
        idempotency_key=new_id(), trade_id=trade["id"], version=trade["version"], new_tp=Decimal("7.00")
    )
    with pytest.raises(UpstreamRefused, match="the old exits are back"):
        await house.ask(command)
    row = await house.until(trade["id"], telling=True, protection="PROTECTED")
    assert row["tp_price"] == Decimal("6.00")
    await check(house)


async def test_a_refused_adjust_whose_old_stop_is_passed_meanwhile_is_sold(house: House) -> None:
    trade = await house.protected()
    await house.fault("reject_later", path=ORDERS)
    command = AdjustTrade(
        idempotency_key=new_id(), trade_id=trade["id"], version=trade["version"], new_tp=Decimal("7.00")
    )
    asked = asyncio.create_task(house.ask(command))

    async def taken_down() -> bool:
        tops = await house.sim.orders(house.account_id)
        return len(tops) > 1 and tops[1]["status"] == "canceled"

    await eventually(taken_down)
    await house.pin("2.90", "3.00")
    await asyncio.gather(asked, return_exceptions=True)
    row = await house.until(trade["id"], telling=True, status="CLOSED", within_s=12)
    assert row["close_reason"] == "SL_HIT"
    await check(house)


async def test_an_adjust_refused_twice_leaves_a_position_that_is_repaired(house: House) -> None:
    trade = await house.protected()
    await house.fault("status_400", path=ORDERS, times=2)
    command = AdjustTrade(
        idempotency_key=new_id(), trade_id=trade["id"], version=trade["version"], new_tp=Decimal("7.00")
    )
    with pytest.raises(UpstreamRefused):
        await house.ask(command)
    row = await house.until(trade["id"], telling=True, protection="PROTECTED", within_s=12)
    assert row["tp_price"] == Decimal("6.00")
    await check(house)


@EITHER_WAY
async def test_an_entry_refused_for_its_tick_is_sent_again_once_at_the_coarser_one(house: House) -> None:
    contract = await house.sim.contract("AAPL")
    await house.sim.control("quote", symbol=str(contract), bid="4.00", ask="4.20")
    entry = Entry(type=EntryType.LIMIT, limit_price=Decimal("3.93"))
    trade = await house.place(ticker="AAPL", strike=contract.strike, expiry=contract.expiry, entry=entry)

    async def again() -> bool:
        tops = await house.sim.orders(house.account_id)
        prices = [(top["leg"] or [top])[0]["price"] for top in tops]
        return prices in ([3.93, 3.9], [3.9])

    await eventually(again)
    await house.until(trade["id"], status="OPEN")
    assert (await house.trade(trade["id"]))["limit_price"] == Decimal("3.90")
    await check(house)
