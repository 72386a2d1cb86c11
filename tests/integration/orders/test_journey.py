"""A protected trade from click to close."""

from __future__ import annotations

from decimal import Decimal

import pytest

from libs.common.ids import new_id
from libs.common.messages.orders import AdjustTrade, CloseTrade
from tests.integration.orders.house import House

pytestmark = pytest.mark.integration


async def test_a_market_entry_is_confirmed_and_then_protected_by_one_oco(house: House) -> None:
    reply = await house.ask(house.placing())
    trade = reply.json()
    assert reply.status == 201
    assert (trade["status"], trade["filled_qty"], trade["entry_price"]) == ("FILLED", 2, "4.2")
    row = await house.until(trade["id"], protection="PROTECTED")
    assert {order["role"]: order["status"] for order in row["orders"]} == {
        "ENTRY": "FILLED",
        "TAKE_PROFIT": "WORKING",
        "STOP_LOSS": "WORKING",
    }
    at_broker = await house.sim.orders(house.account_id)
    assert [order["class"] for order in at_broker] == ["option", "oco"]
    assert [leg["status"] for leg in at_broker[1]["leg"]] == ["open", "open"]


@pytest.mark.parametrize(("price", "reason", "pnl"), [("6.10", "TP_HIT", "360.00"), ("2.90", "SL_HIT", "-260.00")])
async def test_a_hit_closes_the_trade_at_the_brokers_price(house: House, price: str, reason: str, pnl: str) -> None:
    trade = await house.place()
    await house.until(trade["id"], protection="PROTECTED")
    await house.price(price)
    await house.sync()
    row = await house.until(trade["id"], status="CLOSED")
    assert (row["close_reason"], row["realized_pnl"]) == (reason, Decimal(pnl))
    orders = await house.until_quiet(trade["id"])
    assert sorted(order["status"] for order in orders) == ["CANCELLED", "FILLED", "FILLED"]


async def test_a_close_cancels_the_exits_and_sells_once(house: House) -> None:
    trade = await house.protected()
    reply = await house.ask(CloseTrade(idempotency_key=new_id(), trade_id=trade["id"], version=trade["version"]))
    assert reply.status == 200
    closed = reply.json()
    assert (closed["status"], closed["close_reason"], closed["realized_pnl"]) == ("CLOSED", "MANUAL_CLOSE", "-40.00")
    sells = [o for o in await house.sim.orders(house.account_id) if o["type"] == "market" and "sell" in o["side"]]
    assert len(sells) == 1


async def test_an_adjust_replaces_the_bracket(house: House) -> None:
    trade = await house.protected()
    command = AdjustTrade(
        idempotency_key=new_id(), trade_id=trade["id"], version=trade["version"], new_sl=Decimal("3.50")
    )
    reply = await house.ask(command)
    assert reply.status == 200
    adjusted = reply.json()
    assert (adjusted["sl_price"], adjusted["tp_price"], adjusted["protection"]) == ("3.50", "6.00", "PROTECTED")
    ocos = [order for order in await house.sim.orders(house.account_id) if order["class"] == "oco"]
    assert [order["status"] for order in ocos] == ["canceled", "open"]
