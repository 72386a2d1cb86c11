"""What must hold whenever things are quiet: our rows and the broker's truth agree. Source: order path, §9."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

from libs.common.messages.vocabulary import SANDBOX_WIPE, TERMINAL_ORDERS
from tests.integration.orders.house import House

BOUGHT = ("ENTRY", "COVER")
_DEAD = {"filled", "canceled", "expired", "rejected"}


async def check(house: House) -> None:
    """Compare every trade of the house's user with the broker's orders."""
    broker = await house.sim.orders(house.account_id)
    async with house.admin() as admin:
        trades = [dict(row) for row in await admin.fetch("select * from orders.trades where username = $1", house.user)]
        orders = [
            dict(row) for row in await admin.fetch("select * from orders.broker_orders where username = $1", house.user)
        ]
        concerns = await admin.fetch(
            "select * from orders.concerns where username = $1 and ended_at is null", house.user
        )
        corrections = [
            dict(row) for row in await admin.fetch("select * from orders.corrections where username = $1", house.user)
        ]
    _one_order_per_intent([top for top in broker if top["id"] not in house.theirs], orders)
    _moved(trades, orders, broker)
    _explained(orders, broker, house.theirs)
    for trade in trades:
        ours = [order for order in orders if order["trade_id"] == trade["id"]]
        if trade["reason"] == SANDBOX_WIPE:
            assert {order["status"] for order in ours} <= TERMINAL_ORDERS
        else:
            _states_agree([order for order in ours if order["sent_as"] != "foreign"], orders, broker)
        _inventory(trade, ours, [row["kind"] for row in concerns if row["trade_id"] == trade["id"]])
        _money(trade, ours, [row for row in corrections if row["trade_id"] == trade["id"]])


def _flat(broker: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {str(flat["id"]): flat for top in broker for flat in (top.get("leg") or [top])}


async def check_money(house: House) -> None:
    """Compare what the user's orders moved with the account's cash and holdings; for accounts nobody else touches."""
    truth = await house.sim.cash(house.account_id)
    async with house.admin() as admin:
        found = await admin.fetch(
            "select t.occ_symbol, o.role, o.filled_qty, o.avg_price, t.multiplier "
            "from orders.broker_orders o join orders.trades t on t.id = o.trade_id where o.username = $1",
            house.user,
        )
    cash, held = Decimal(0), Counter[str]()
    for row in found:
        signed = row["filled_qty"] if row["role"] in BOUGHT else -row["filled_qty"]
        cash -= signed * (row["avg_price"] or Decimal(0)) * row["multiplier"]
        held[row["occ_symbol"]] += signed
    assert Decimal(str(truth["cash"])) - Decimal(str(truth["deposited"])) == cash.quantize(Decimal("0.01"))
    assert truth["positions"] == {symbol: qty for symbol, qty in held.items() if qty}


def _one_order_per_intent(broker: list[dict[str, Any]], orders: list[dict[str, Any]]) -> None:
    tags = Counter(order["tag"] for order in broker)
    assert all(count == 1 for count in tags.values()), f"sent twice: {tags}"
    assert set(tags) <= {order["tag"] for order in orders}, "an order at the broker that nobody intended"


def _moved(trades: list[dict[str, Any]], orders: list[dict[str, Any]], broker: list[dict[str, Any]]) -> None:
    """Count what surfaced after a trade's end once, in its one recovered trade."""
    there, by_id = _flat(broker), {trade["id"]: trade for trade in trades}
    recovered = Counter((t["recovered_from"], t["tradier_order_id"]) for t in trades if t["recovered_from"])
    assert all(count == 1 for count in recovered.values()), f"recovered twice: {recovered}"
    for order in orders:
        if order["recovered_as"] is None:
            continue
        trade = by_id[order["recovered_as"]]
        assert trade["recovered_from"] == order["trade_id"]
        [taken] = [o for o in orders if o["trade_id"] == trade["id"] and o["role"] == order["role"]][:1]
        if order["broker_order_id"] is None:
            assert not order["filled_qty"], "a row that moved keeps nothing"
            continue
        executed = int(float(there[order["broker_order_id"]]["exec_quantity"]))
        assert order["filled_qty"] + taken["filled_qty"] == executed, "what was split is counted once"


def _explained(orders: list[dict[str, Any]], broker: list[dict[str, Any]], theirs: set[int]) -> None:
    """Take somebody else's executions at their price, no more than there were, and none of ours for them."""
    there = _flat(broker)
    taken: Counter[str] = Counter()
    for order in orders:
        if order["sent_as"] != "foreign" or order["broker_order_id"] is None:
            continue
        flat = there[order["broker_order_id"]]
        assert flat["id"] in theirs, "one of ours taken for somebody else's"
        assert flat["side"] == ("buy_to_close" if order["role"] == "COVER" else "sell_to_close")
        assert (order["status"], order["sent_at"]) == ("FILLED", None)
        assert order["avg_price"] == Decimal(str(flat["avg_fill_price"]))
        taken[order["broker_order_id"]] += order["filled_qty"]
        assert taken[order["broker_order_id"]] <= int(float(flat["exec_quantity"]))


def _states_agree(ours: list[dict[str, Any]], everyones: list[dict[str, Any]], broker: list[dict[str, Any]]) -> None:
    there = _flat(broker)
    for order in ours:
        if order["broker_order_id"] is None:
            assert order["status"] in TERMINAL_ORDERS, f"{order['role']} is {order['status']} without an id"
            if order["recovered_as"] is None:
                assert order["tag"] not in {top["tag"] for top in broker}, "one we took for never placed is there"
            continue
        flat = there[order["broker_order_id"]]
        split = [o for o in everyones if o["broker_order_id"] == order["broker_order_id"]]
        assert sum(o["filled_qty"] for o in split) == int(float(flat["exec_quantity"])), order["role"]
        assert (order["status"] in TERMINAL_ORDERS) == (flat["status"] in _DEAD), (order["role"], flat["status"])


def _inventory(trade: dict[str, Any], ours: list[dict[str, Any]], concerns: list[str]) -> None:
    bought = sum(order["filled_qty"] for order in ours if order["role"] in BOUGHT)
    sold = sum(order["filled_qty"] for order in ours if order["role"] not in BOUGHT)
    held = bought - sold - trade["settled_qty"]
    live = [order for order in ours if order["status"] not in TERMINAL_ORDERS]
    assert held >= 0 or "short" in concerns, "short, and nobody is told"
    if held < 0:
        assert trade["status"] == "CLOSED"
        return
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
        assert covered == wanted or set(concerns) - {"late_fill"}, "a position without its exits and without an alarm"


def _money(trade: dict[str, Any], ours: list[dict[str, Any]], corrections: list[dict[str, Any]]) -> None:
    short = sum(o["filled_qty"] * (1 if o["role"] in BOUGHT else -1) for o in ours) < 0
    if trade["realized_pnl"] is None or short:
        return
    cash = Decimal(0)
    for order in ours:
        amount = (order["avg_price"] or Decimal(0)) * order["filled_qty"] * trade["multiplier"]
        cash += -amount if order["role"] in BOUGHT else amount
    if trade["settled_qty"]:
        # What was settled without an order is worth what it could have been exercised for, which the test knows.
        sold = sum(order["filled_qty"] for order in ours if order["role"] not in BOUGHT)
        assert trade["settled_qty"] + sold == trade["filled_qty"]
        assert not sold, "partly sold and partly settled: write down what it is worth"
        cash += trade["close_price"] * trade["settled_qty"] * trade["multiplier"]
    # What executions were worth; what the broker took for them is no order's.
    learned = (row["amount_usd"] for row in corrections if row["kind"] != "fees")
    final = trade["realized_pnl"] + sum(learned, Decimal(0))
    assert final == cash.quantize(Decimal("0.01"))
