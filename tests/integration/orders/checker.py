"""What must hold whenever things are quiet: our rows and the broker's truth agree. Source: order path, §9."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

from libs.common.messages.vocabulary import TERMINAL_ORDERS
from tests.integration.orders.house import House

_DEAD = {"filled", "canceled", "expired", "rejected"}


async def check(house: House) -> None:
    """Compare every trade of the house's user with the broker's orders."""
    broker = await house.sim.orders(house.account_id)
    async with house.database.admin() as admin:
        trades = [dict(row) for row in await admin.fetch("select * from orders.trades where username = $1", house.user)]
        orders = [
            dict(row) for row in await admin.fetch("select * from orders.broker_orders where username = $1", house.user)
        ]
        concerns = await admin.fetch(
            "select * from orders.concerns where username = $1 and ended_at is null", house.user
        )
    _one_order_per_intent(broker, orders)
    for trade in trades:
        ours = [order for order in orders if order["trade_id"] == trade["id"]]
        _states_agree(ours, broker)
        _inventory(trade, ours, [row["kind"] for row in concerns if row["trade_id"] == trade["id"]])
        _money(trade, ours)


def _one_order_per_intent(broker: list[dict[str, Any]], orders: list[dict[str, Any]]) -> None:
    tags = Counter(order["tag"] for order in broker)
    assert all(count == 1 for count in tags.values()), f"sent twice: {tags}"
    assert set(tags) <= {order["tag"] for order in orders}, "an order at the broker that nobody intended"


def _states_agree(ours: list[dict[str, Any]], broker: list[dict[str, Any]]) -> None:
    there = {str(flat["id"]): flat for top in broker for flat in (top.get("leg") or [top])}
    for order in ours:
        if order["broker_order_id"] is None:
            assert order["status"] in TERMINAL_ORDERS, f"{order['role']} is {order['status']} without an id"
            assert order["tag"] not in {top["tag"] for top in broker}, "one we took for never placed is there"
            continue
        flat = there[order["broker_order_id"]]
        assert order["filled_qty"] == int(float(flat["exec_quantity"])), order["role"]
        assert (order["status"] in TERMINAL_ORDERS) == (flat["status"] in _DEAD), (order["role"], flat["status"])


def _inventory(trade: dict[str, Any], ours: list[dict[str, Any]], concerns: list[str]) -> None:
    bought = sum(order["filled_qty"] for order in ours if order["role"] == "ENTRY")
    sold = sum(order["filled_qty"] for order in ours if order["role"] != "ENTRY")
    held = bought - sold - trade["settled_qty"]
    live = [order for order in ours if order["status"] not in TERMINAL_ORDERS]
    assert held >= 0, "short"
    if trade["status"] == "CLOSED":
        assert held == 0
        assert not live, "a working leg without a position"
        return
    entries = {order["tag"] for order in live if order["role"] == "ENTRY"}
    beside = [order for order in live if order["role"] != "ENTRY" and order["tag"] not in entries]
    assert not (entries and beside), "exits beside a working entry that it was not sent with"
    wanted = {
        role
        for role, price in (("STOP_LOSS", trade["sl_price"]), ("TAKE_PROFIT", trade["tp_price"]))
        if price is not None
    }
    covered = {
        role
        for role in wanted
        if sum(order["qty"] - order["filled_qty"] for order in live if order["role"] == role) == held
    }
    if held and trade["status"] == "FILLED":
        assert covered == wanted or concerns, "a position without its exits and without an alarm"


def _money(trade: dict[str, Any], ours: list[dict[str, Any]]) -> None:
    if trade["realized_pnl"] is None:
        return
    cash = Decimal(0)
    for order in ours:
        amount = (order["avg_price"] or Decimal(0)) * order["filled_qty"] * trade["multiplier"]
        cash += -amount if order["role"] == "ENTRY" else amount
    if trade["settled_qty"]:
        # What was settled without an order is worth what it could have been exercised for, which the test knows.
        sold = sum(order["filled_qty"] for order in ours if order["role"] != "ENTRY")
        assert trade["settled_qty"] + sold == trade["filled_qty"]
        assert not sold, "partly sold and partly settled: write down what it is worth"
        cash += trade["close_price"] * trade["settled_qty"] * trade["multiplier"]
    assert trade["realized_pnl"] == cash.quantize(Decimal("0.01"))
