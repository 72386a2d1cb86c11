"""A limit entry and its exits as one group, against a venue that behaves in each way nobody documents."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from libs.common.ids import new_id
from libs.common.messages.orders import AdjustTrade, CloseTrade, Entry
from libs.common.messages.vocabulary import Duration, EntryType
from libs.common.testing import eventually
from tests.integration.orders.checker import check
from tests.integration.orders.house import House

pytestmark = [pytest.mark.integration, pytest.mark.parametrize("otoco", ["limit_entries"], indirect=True)]

ORDERS = r"/accounts/[^/]+/orders$"
LOW = Entry(type=EntryType.LIMIT, limit_price=Decimal("3.90"))
RELEASES = pytest.mark.parametrize("release", ["full_fill", "first_fill"])


async def groups(house: House) -> list[dict[str, Any]]:
    """List what was sent: the class of each order, and the status of it and of its legs."""
    return [
        {"class": top["class"], "status": top["status"], "legs": [leg["status"] for leg in top["leg"]]}
        for top in await house.sim.orders(house.account_id)
    ]


async def quick_grace(house: House) -> None:
    """Let a part fill wait for a moment only."""
    async with house.db.for_user(house.user) as unit:
        sql = "update orders.trading_settings set settings = settings || $1::text::jsonb returning username"
        await unit.json(sql, '{"partial_entry_grace_s": 1}')


async def part_filled(house: House, quantity: int = 1, **changes: Any) -> dict[str, Any]:
    """Place three contracts of which some are bought."""
    await quick_grace(house)
    await house.fault("partial_fill", path=ORDERS, quantity=quantity)
    await house.pin("3.70", "3.80")
    trade = await house.place(qty=3, entry=LOW, **changes)
    return await house.until(trade["id"], telling=True, status="PARTIAL")


@pytest.mark.parametrize("null_tag", [False, True])
@RELEASES
async def test_a_complete_fill_is_protected_by_its_own_exits_without_a_naked_second(
    house: House, release: str, null_tag: bool
) -> None:
    await house.sim.control("toggles", otoco_release=release, null_tag=null_tag)
    trade = await house.place(entry=LOW)
    assert (trade["status"], trade["protection"]) == ("OPEN", "PENDING")
    assert await groups(house) == [{"class": "otoco", "status": "open", "legs": ["open", "pending", "pending"]}]
    await house.pin("3.70", "3.80")
    row = await house.until(trade["id"], telling=True, protection="PROTECTED")
    assert (row["status"], row["naked_s"]) == ("FILLED", Decimal(0))
    assert await groups(house) == [{"class": "otoco", "status": "open", "legs": ["filled", "open", "open"]}]
    await check(house)


async def test_each_leg_has_its_own_duration(house: House) -> None:
    await house.place(entry=LOW)
    (top,) = await house.sim.orders(house.account_id)
    assert [leg["duration"] for leg in top["leg"]] == ["day", "gtc", "gtc"]
    other = type(house.contract)(
        house.contract.root, house.contract.expiry, house.contract.option_type, house.contract.strike + 5
    )
    await house.sim.control("quote", symbol=str(other), bid="4.00", ask="4.20")
    await house.place(entry=LOW.model_copy(update={"duration": Duration.GTC}), strike=other.strike)
    top = (await house.sim.orders(house.account_id))[-1]
    assert [leg["duration"] for leg in top["leg"]] == ["gtc", "gtc", "gtc"]


@pytest.mark.parametrize("changes", [{"sl_price": None}, {"tp_price": None}, {"entry": Entry(type=EntryType.MARKET)}])
async def test_what_is_no_group_of_three_is_sent_alone(house: House, changes: dict[str, Any]) -> None:
    trade = await house.place(**{"entry": LOW} | changes)
    assert (await groups(house))[0]["class"] == "option"
    await house.pin("3.70", "3.80")
    await house.until(trade["id"], telling=True, protection="PROTECTED")
    await check(house)


@RELEASES
async def test_a_part_fill_is_naked_then_the_group_goes_and_one_oco_protects_what_is_held(
    house: House, release: str
) -> None:
    await house.sim.control("toggles", otoco_release=release)
    row = await part_filled(house)
    assert (row["filled_qty"], row["protection"]) == (1, "PENDING")
    assert row["naked_since"] is not None
    row = await house.until(row["id"], telling=True, protection="PROTECTED", within_s=12)
    assert (row["status"], row["filled_qty"]) == ("FILLED", 1)
    assert row["naked_s"] >= Decimal("0.9")
    group, oco = await house.sim.orders(house.account_id)
    assert {leg["status"] for leg in group["leg"]} == {"canceled"}
    assert (oco["class"], [leg["quantity"] for leg in oco["leg"]]) == ("oco", [1, 1])
    await check(house)


async def test_a_part_fill_that_becomes_whole_in_its_grace_needs_no_other_exits(house: House) -> None:
    await house.fault("partial_fill", path=ORDERS, quantity=1, delay_ms=1200)
    await house.pin("3.70", "3.80")
    trade = await house.place(qty=3, entry=LOW)
    row = await house.until(trade["id"], telling=True, protection="PROTECTED", within_s=12)
    assert row["filled_qty"] == 3
    assert [top["class"] for top in await groups(house)] == ["otoco"]
    assert row["naked_s"] > 0
    await check(house)


@pytest.mark.parametrize("oco_partial", ["cancel_sibling", "reduce", "leave"])
async def test_a_stop_that_executes_beside_a_part_filled_entry_leaves_nothing_filling(
    house: House, oco_partial: str
) -> None:
    await house.sim.control("toggles", otoco_release="first_fill", oco_partial=oco_partial)
    row = await part_filled(house)
    await house.pin("2.90", "4.00")
    row = await house.until(row["id"], telling=True, status="CLOSED", within_s=12)
    assert row["close_reason"] == "SL_HIT"
    await house.until_quiet(row["id"])
    await check(house)


async def test_a_stop_on_the_wrong_side_takes_the_group_down_and_the_position_is_sold(house: House) -> None:
    trade = await house.place(entry=LOW, sl_price=Decimal("3.50"))
    await house.pin("3.40", "3.60")
    row = await house.until(trade["id"], telling=True, status="CLOSED")
    assert row["close_reason"] == "SL_HIT"
    assert [(top["class"], top["status"]) for top in await groups(house)] == [
        ("otoco", "canceled"),
        ("option", "filled"),
    ]
    await check(house)


async def test_a_close_of_a_pending_group_cancels_every_leg(house: House) -> None:
    trade = await house.place(entry=LOW)
    reply = await house.ask(CloseTrade(idempotency_key=new_id(), trade_id=trade["id"], version=trade["version"]))
    assert (reply.status, reply.json()["close_reason"]) == (200, "CANCELLED")
    await house.until_quiet(trade["id"])
    assert (await groups(house))[0]["legs"] == ["canceled"] * 3
    await check(house)


@RELEASES
async def test_a_close_of_a_part_filled_group_sells_what_it_bought(house: House, release: str) -> None:
    await house.sim.control("toggles", otoco_release=release)
    row = await part_filled(house, 2)
    await house.ask(CloseTrade(idempotency_key=new_id(), trade_id=row["id"], version=row["version"]))
    row = await house.until(row["id"], telling=True, status="CLOSED")
    assert (row["close_reason"], row["filled_qty"]) == ("MANUAL_CLOSE", 2)
    assert (await house.sim.orders(house.account_id))[-1]["quantity"] == 2
    await check(house)


async def test_new_exits_for_a_pending_entry_are_sent_with_it_again(house: House) -> None:
    trade = await house.place(entry=LOW)
    command = AdjustTrade(
        idempotency_key=new_id(), trade_id=trade["id"], version=trade["version"], new_tp=Decimal("7.00")
    )
    reply = await house.ask(command)
    assert (reply.status, reply.json()["tp_price"]) == (200, "7.00")

    async def again() -> bool:
        found = await house.sim.orders(house.account_id)
        return [top["status"] for top in found] == ["canceled", "open"] and found[1]["leg"][1]["price"] == 7.0

    await eventually(again)
    assert (await house.trade(trade["id"]))["status"] == "OPEN"
    await house.pin("3.70", "3.80")
    row = await house.until(trade["id"], telling=True, protection="PROTECTED")
    assert row["tp_price"] == Decimal("7.00")
    await check(house)


async def test_new_exits_that_race_the_fill_end_as_the_exits(house: House) -> None:
    trade = await house.place(entry=LOW)
    command = AdjustTrade(
        idempotency_key=new_id(), trade_id=trade["id"], version=trade["version"], new_tp=Decimal("7.00")
    )
    await asyncio.gather(house.ask(command), house.pin("3.70", "3.80"))

    async def at_the_new_price() -> bool:
        await house.sync()
        row = await house.trade(trade["id"])
        tops = await house.sim.orders(house.account_id)
        working = [leg for top in tops for leg in top["leg"] if leg["status"] == "open" and leg["type"] == "limit"]
        return row["protection"] == "PROTECTED" and [leg["price"] for leg in working] == [7.0]

    await eventually(at_the_new_price, within_s=8, every_s=0.1)
    await check(house)


@pytest.mark.parametrize("null_tag", [False, True])
@pytest.mark.parametrize("kind", ["drop_after", "status_502_html"])
async def test_a_group_whose_answer_is_lost_is_found_with_all_its_legs(house: House, kind: str, null_tag: bool) -> None:
    await house.sim.control("toggles", null_tag=null_tag)
    await house.fault(kind, path=ORDERS)
    trade = await house.place(entry=LOW)

    async def adopted() -> bool:
        orders = (await house.trade(trade["id"]))["orders"]
        return all(order["broker_order_id"] and order["status"] == "WORKING" for order in orders)

    await eventually(adopted, within_s=8)
    await house.pin("3.70", "3.80")
    await house.until(trade["id"], telling=True, protection="PROTECTED")
    assert len(await groups(house)) == 1
    await check(house)


async def test_a_day_that_ends_takes_the_group_with_it(house: House) -> None:
    trade = await house.place(entry=LOW)
    await house.sim.control("clock", session="closed")
    row = await house.until(trade["id"], telling=True, status="CLOSED")
    assert row["close_reason"] == "CANCELLED"
    await house.until_quiet(trade["id"])
    await check(house)
