"""A leg of the exits that executes in part, at a venue that treats its sibling in each way nobody documents."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from libs.common.ids import new_id
from libs.common.messages.orders import CloseTrade, Entry
from libs.common.messages.vocabulary import EntryType
from libs.common.testing import eventually
from tests.integration.orders.checker import check
from tests.integration.orders.house import House

pytestmark = [
    pytest.mark.integration,
    pytest.mark.parametrize("oco_partial", ["cancel_sibling", "reduce", "leave"]),
]

LOW = Entry(type=EntryType.LIMIT, limit_price=Decimal("3.90"))
ORDERS = r"/accounts/[^/]+/orders$"


async def part_sold(house: House, oco_partial: str, price: str = "6.20", **fault: Any) -> dict[str, Any]:
    """Hold three contracts of which the exits have sold one."""
    await house.sim.control("toggles", oco_partial=oco_partial)
    trade = await house.place(qty=3, entry=LOW)
    await house.fault("partial_fill", path=ORDERS, quantity=1, **fault)
    await house.pin("3.70", "3.80")
    await house.until(trade["id"], telling=True, protection="PROTECTED")
    await house.pin(price, "6.40")

    async def sold() -> bool:
        await house.sync()
        exits = [order for order in (await house.trade(trade["id"]))["orders"] if order["role"] != "ENTRY"]
        return any(order["filled_qty"] == 1 for order in exits)

    await eventually(sold, every_s=0.05)
    return trade


async def test_what_is_left_gets_exits_of_its_own(house: House, oco_partial: str) -> None:
    trade = await part_sold(house, oco_partial)
    await house.pin("4.00", "4.20")

    async def covered() -> bool:
        await house.sync()
        row = await house.trade(trade["id"])
        live = [order for order in row["orders"] if order["role"] != "ENTRY" and order["status"] == "WORKING"]
        return row["protection"] == "PROTECTED" and [order["qty"] for order in live] == [2, 2]

    await eventually(covered, within_s=10, every_s=0.1)
    row = await house.trade(trade["id"])
    assert (row["status"], row["realized_pnl"]) == ("FILLED", None)
    await check(house)
    await house.price("6.10")
    row = await house.until(trade["id"], telling=True, status="CLOSED")
    assert (row["close_reason"], row["realized_pnl"]) == ("TP_HIT", Decimal("660.00"))
    await house.until_quiet(trade["id"])
    await check(house)


async def test_a_close_meanwhile_sells_what_is_left(house: House, oco_partial: str) -> None:
    trade = await part_sold(house, oco_partial)
    version = (await house.trade(trade["id"]))["version"]
    await house.pin("5.00", "5.20")
    await house.ask(CloseTrade(idempotency_key=new_id(), trade_id=trade["id"], version=version))
    row = await house.until(trade["id"], telling=True, status="CLOSED")
    sale = (await house.sim.orders(house.account_id))[-1]
    assert (row["close_reason"], sale["type"], sale["quantity"]) == ("MANUAL_CLOSE", "market", 2)
    assert row["realized_pnl"] == Decimal("440.00") + Decimal("20.00")
    await house.until_quiet(trade["id"])
    await check(house)


async def test_a_stop_that_sells_in_part_and_stays_passed_is_sold_as_that_stop(house: House, oco_partial: str) -> None:
    trade = await part_sold(house, oco_partial, "2.80")
    row = await house.until(trade["id"], telling=True, status="CLOSED", within_s=10)
    assert (row["close_reason"], row["close_price"]) == ("SL_HIT", Decimal("2.80"))
    await house.until_quiet(trade["id"])
    await check(house)
