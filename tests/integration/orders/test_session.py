"""Outside the session, without a bid, in parts, and with somebody else's hand at the broker."""

from __future__ import annotations

import asyncio
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from libs.common.errors import FlowRunning, IllegalTransition
from libs.common.ids import new_id
from libs.common.messages.orders import AdjustTrade, CloseTrade, Entry, WithdrawTrade
from libs.common.messages.vocabulary import EntryType
from libs.common.testing import eventually
from tests.integration.orders.checker import check
from tests.integration.orders.house import EITHER_WAY, House

pytestmark = pytest.mark.integration

LOW = Entry(type=EntryType.LIMIT, limit_price=Decimal("3.90"))


async def test_a_close_outside_the_session_waits_for_the_open_and_keeps_the_bracket(house: House) -> None:
    trade = await house.protected()
    await house.sim.control("clock", session="closed")
    reply = await house.ask(CloseTrade(idempotency_key=new_id(), trade_id=trade["id"], version=trade["version"]))
    queued = reply.json()
    assert (reply.status, queued["status"], queued["queued_for_open"]) == (202, "FILLED", True)
    assert (await house.sim.orders(house.account_id))[1]["status"] == "open"
    await house.sim.control("clock", session="open")
    row = await house.until(trade["id"], status="CLOSED", close_reason="MANUAL_CLOSE")
    assert row["queued_for_open"] is False
    await check(house)


async def test_a_stop_that_is_passed_at_the_open_sells_though_a_close_waits_for_it_too(house: House) -> None:
    await house.prefer(repair_delay_s=0)
    trade = await house.protected()
    await house.sim.control("clock", session="closed")
    await house.ask(CloseTrade(idempotency_key=new_id(), trade_id=trade["id"], version=trade["version"]))
    await house.pin("0.50", "0.60")
    resting = (await house.sim.orders(house.account_id))[1]["id"]
    await house.happens("manual_cancel", order_id=resting)
    await house.sync()
    await house.until(trade["id"], protection="NAKED", queued_for_open=True)
    await house.sim.control("clock", session="open")
    row = await house.until(trade["id"], within_s=20, status="CLOSED", close_reason="SL_HIT")
    assert row["queued_for_open"] is False
    await check(house)


async def test_what_waits_for_the_open_can_be_withdrawn(house: House) -> None:
    trade = await house.protected()
    await house.sim.control("clock", session="closed")
    close = CloseTrade(idempotency_key=new_id(), trade_id=trade["id"], version=trade["version"])
    await house.ask(close)
    reply = await house.ask(WithdrawTrade(idempotency_key=new_id(), trade_id=trade["id"]))
    assert (reply.status, reply.json()["queued_for_open"]) == (200, False)
    with pytest.raises(IllegalTransition):
        await house.ask(WithdrawTrade(idempotency_key=new_id(), trade_id=trade["id"]))
    await house.sim.control("clock", session="open")
    assert (await house.until_resting(trade["id"]))["status"] == "FILLED"
    await check(house)


async def test_an_adjust_outside_the_session_is_carried_out_at_the_open(house: House) -> None:
    trade = await house.protected()
    await house.sim.control("clock", session="closed")
    key, version = new_id(), trade["version"]
    reply = await house.ask(
        AdjustTrade(idempotency_key=key, trade_id=trade["id"], version=version, new_tp=Decimal("7.00"))
    )
    assert (reply.status, reply.json()["tp_price"]) == (202, "6.00")
    version = reply.json()["version"]
    with pytest.raises(FlowRunning):
        await house.ask(
            AdjustTrade(idempotency_key=new_id(), trade_id=trade["id"], version=version, new_tp=Decimal("8.00"))
        )
    await house.sim.control("clock", session="open")
    await house.until(trade["id"], tp_price=Decimal("7.00"), protection="PROTECTED")
    await check(house)


async def due_at(house: House, trade_id: str) -> Any:
    async with house.database.admin() as admin:
        sql = "select due_at, begun_at from orders.actions where trade_id = $1 and state = 'QUEUED'"
        return await admin.fetchrow(sql, trade_id)


async def test_what_waits_for_the_open_starts_on_a_two_sided_quote_only(house: House) -> None:
    trade = await house.protected()
    await house.sim.control("clock", session="closed")
    await house.ask(CloseTrade(idempotency_key=new_id(), trade_id=trade["id"], version=trade["version"]))
    await house.pin("0", "4.20")
    await house.sim.control("clock", session="open")
    first = await due_at(house, trade["id"])

    async def looked_again() -> bool:
        return bool((await due_at(house, trade["id"]))["due_at"] > first["due_at"] + timedelta(seconds=0.3))

    await eventually(looked_again)
    waiting = await house.trade(trade["id"])
    assert (waiting["status"], waiting["queued_for_open"]) == ("FILLED", True)
    assert (await due_at(house, trade["id"]))["begun_at"] is None
    await house.pin("4.00", "4.20")
    await house.until(trade["id"], status="CLOSED", close_reason="MANUAL_CLOSE")
    await check(house)


async def test_nothing_is_queued_after_the_last_trade(house: House) -> None:
    trade = await house.protected()
    after = datetime.combine(house.contract.expiry, time(17), ZoneInfo("America/New_York"))
    async with house.database.admin() as admin:
        # Expiry's own look would settle the trade first; here only the request may find out.
        await admin.execute("delete from orders.jobs where kind = 'expiries'")
    await house.sim.control("clock", now=after, session="calendar")
    row = await house.trade(trade["id"])
    for command in (
        CloseTrade(idempotency_key=new_id(), trade_id=trade["id"], version=row["version"]),
        AdjustTrade(idempotency_key=new_id(), trade_id=trade["id"], version=row["version"], new_tp=Decimal("7.00")),
    ):
        with pytest.raises(IllegalTransition, match="trades no more"):
            await house.ask(command)
    assert (await house.trade(trade["id"]))["queued_for_open"] is False


@EITHER_WAY
async def test_a_working_entry_can_be_cancelled_at_any_hour(house: House) -> None:
    trade = await house.place(entry=LOW)
    await house.sim.control("clock", session="closed")
    reply = await house.ask(CloseTrade(idempotency_key=new_id(), trade_id=trade["id"], version=trade["version"]))
    assert (reply.status, reply.json()["close_reason"]) == (200, "CANCELLED")
    await check(house)


async def test_without_a_bid_the_sale_is_a_day_limit_at_the_least_price(house: House) -> None:
    trade = await house.protected(sl_price=None)
    await house.pin("0", "0.05")
    reply = await house.ask(CloseTrade(idempotency_key=new_id(), trade_id=trade["id"], version=trade["version"]))
    assert (reply.status, reply.json()["status"]) == (202, "CLOSING")
    sale = (await house.sim.orders(house.account_id))[-1]
    assert (sale["type"], Decimal(str(sale["price"]))) == ("limit", Decimal("0.01"))
    topics = [topic for topic, _ in await house.facts()]
    assert "concern_raised" in topics
    await house.pin("0.02", "0.05")
    await house.until(trade["id"], status="CLOSED", telling=True)
    await check(house)


async def test_a_partly_filled_entry_gets_its_grace_then_exits_for_what_it_has(house: House) -> None:
    await house.fault("partial_fill", path=r"/accounts/[^/]+/orders$", quantity=1)
    trade = await house.place(qty=3)
    row = await house.until(trade["id"], telling=True, protection="PROTECTED", within_s=15)
    assert (row["status"], row["filled_qty"]) == ("FILLED", 1)
    legs = [order for order in row["orders"] if order["role"] != "ENTRY"]
    assert {leg["qty"] for leg in legs} == {1}
    await check(house)


async def test_a_close_of_a_part_filled_entry_sells_what_is_held(house: House) -> None:
    await house.fault("partial_fill", path=r"/accounts/[^/]+/orders$", quantity=1)
    trade = await house.place(qty=3)
    row = await house.until(trade["id"], status="PARTIAL")
    await house.ask(CloseTrade(idempotency_key=new_id(), trade_id=trade["id"], version=row["version"]))
    row = await house.until(trade["id"], status="CLOSED")
    assert (row["close_reason"], row["filled_qty"]) == ("MANUAL_CLOSE", 1)
    await check(house)


async def test_a_bracket_cancelled_at_the_broker_is_an_alarm_first_and_then_repaired(house: House) -> None:
    trade = await house.protected()
    async with house.db.for_user(house.user) as unit:
        sql = "update orders.trading_settings set settings = settings || $1::text::jsonb returning username"
        await unit.json(sql, '{"repair_delay_s": 1}')
    oco = (await house.sim.orders(house.account_id))[1]
    await house.sim.control("events", kind="manual_cancel", account=house.account_id, order_id=oco["id"])
    await house.until(trade["id"], telling=True, protection="NAKED")
    assert "trade_unprotected" in [topic for topic, _ in await house.facts()]
    await house.until(trade["id"], telling=True, protection="PROTECTED")
    topics = [topic for topic, _ in await house.facts()]
    assert topics.count("concern_raised") == topics.count("concern_ended") == 1
    await check(house)


@pytest.mark.parametrize(
    ("sl", "tp", "kinds"),
    [
        (Decimal("3.00"), None, ["stop"]),
        (None, Decimal("6.00"), ["limit"]),
        (None, None, []),
    ],
)
async def test_one_exit_or_none_is_a_choice(
    house: House, sl: Decimal | None, tp: Decimal | None, kinds: list[str]
) -> None:
    trade = await house.place(sl_price=sl, tp_price=tp)
    await house.until(trade["id"], protection="PROTECTED" if kinds else "NONE")
    assert [order["type"] for order in (await house.sim.orders(house.account_id))[1:]] == kinds
    await check(house)


@EITHER_WAY
async def test_entries_are_read_by_ourselves_while_monitor_does_not_answer(house: House) -> None:
    trade = await house.place(entry=LOW)
    following = asyncio.create_task(house.deps.news.follow())
    await house.pin("3.70", "3.80")
    await house.until(trade["id"], protection="PROTECTED")
    await check(house)
    following.cancel()


@EITHER_WAY
async def test_entries_are_read_by_ourselves_while_the_bus_is_away(house: House) -> None:
    trade = await house.place(entry=LOW)
    house.bus.connected = False
    await house.pin("3.70", "3.80")
    await house.until(trade["id"], protection="PROTECTED")
    await check(house)
