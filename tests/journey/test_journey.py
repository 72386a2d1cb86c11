"""The main job from click to close, each way it can end."""

from __future__ import annotations

import uuid
from decimal import Decimal

import pytest

from tests.journey.stack import Simulator, Stack
from tests.journey.trader import Json, Trader, eventually

pytestmark = pytest.mark.integration


def events_of(heard: list[Json], trade_id: str) -> list[str]:
    return [frame["event"] for frame in heard if frame.get("data", {}).get("trade_id") == trade_id]


def nothing_works(simulator: Simulator, account: str) -> bool:
    """Wait for the broker to cancel the other leg, which takes it a moment."""
    return eventually(lambda: simulator.working(account) == [], 3)


def test_a_target_that_is_hit_closes_the_trade_at_the_brokers_price(trader: Trader, simulator: Simulator) -> None:
    contract = trader.contract("SPY", 0)
    with trader.listening() as heard:
        placed = trader.place(trader.body(contract))
        trade = trader.protected(placed["id"])
        rest = simulator.working(trade["account_id"])
        assert {leg["type"] for leg in rest} == {"stop", "limit"}
        assert {leg["quantity"] for leg in rest} == {1}
        simulator.price(trade["occ_symbol"], trade["tp_price"])
        closed = trader.closed(trade["id"])
        assert trader.eventually(lambda: "trade_closed" in events_of(heard, trade["id"]), 5)
    assert (closed["close_reason"], closed["is_locked"]) == ("TP_HIT", True)
    fill = next(leg for leg in simulator.legs(trade["account_id"]) if leg["type"] == "limit")
    assert Decimal(closed["close_price"]) == Decimal(str(fill["avg_fill_price"]))
    made = (Decimal(closed["close_price"]) - Decimal(closed["entry_price"])) * 100
    assert Decimal(closed["realized_pnl"]) == made
    assert nothing_works(simulator, trade["account_id"])
    assert {"trade_filled", "trade_protected", "trade_closed"} <= set(events_of(heard, trade["id"]))


def test_a_stop_that_is_hit_closes_the_trade(trader: Trader, simulator: Simulator) -> None:
    trade = trader.protected(trader.place(trader.body(trader.contract("QQQ", 1)))["id"])
    simulator.price(trade["occ_symbol"], str(Decimal(trade["sl_price"]) - Decimal("0.10")))
    closed = trader.closed(trade["id"])
    assert closed["close_reason"] == "SL_HIT"
    assert Decimal(closed["realized_pnl"]) < 0
    assert nothing_works(simulator, trade["account_id"])
    history = trader.ok("GET", "/api/trades/history?result=loss")["trades"]
    assert [row["id"] for row in history] == [trade["id"]]


def test_a_close_sells_once_and_leaves_nothing_working(trader: Trader, simulator: Simulator) -> None:
    trade = trader.protected(trader.place(trader.body(trader.contract("SPY", 2)))["id"])
    key = uuid.uuid4().hex
    path, body = f"/api/trades/{trade['id']}/close", {"version": trade["version"]}
    trader.ok("POST", path, body, key=key)
    closed = trader.closed(trade["id"])
    assert (closed["close_reason"], closed["override_count"]) == ("MANUAL_CLOSE", 1)
    again = trader.call("POST", path, body, key=key)
    assert again.headers["Idempotent-Replayed"] == "true"
    sells = [o for o in simulator.legs(trade["account_id"]) if o["type"] == "market" and o["side"] == "sell_to_close"]
    assert len(sells) == 1
    assert nothing_works(simulator, trade["account_id"])


def test_an_adjust_replaces_the_bracket(trader: Trader, simulator: Simulator) -> None:
    trade = trader.protected(trader.place(trader.body(trader.contract("SPY", 3)))["id"])
    new_tp = str(Decimal(trade["tp_price"]) + Decimal("0.50"))
    body = {"version": trade["version"], "new_tp": new_tp}
    trader.ok("POST", f"/api/trades/{trade['id']}/adjust", body, key=uuid.uuid4().hex)
    moved = trader.until(
        trade["id"], lambda t: Decimal(t["tp_price"]) == Decimal(new_tp) and t["protection"] == "PROTECTED", 15
    )
    assert moved["sl_price"] == trade["sl_price"]
    assert moved["tradier_tp_order_id"] != trade["tradier_tp_order_id"]
    rest = simulator.working(trade["account_id"])
    assert {Decimal(str(leg["price"])) for leg in rest if leg["type"] == "limit"} == {Decimal(new_tp)}
    assert len(rest) == 2
    stale = trader.call("POST", f"/api/trades/{trade['id']}/adjust", body, key=uuid.uuid4().hex)
    assert (stale.status_code, stale.json()["code"]) == (409, "stale_version")
    assert stale.json()["current"]["version"] == moved["version"]


def test_a_limit_that_waits_is_pending_and_can_be_cancelled(trader: Trader, simulator: Simulator) -> None:
    contract = trader.contract("SPY", 4)
    far = str(round(Decimal(contract["bid"]) * Decimal("0.8"), 1))
    body = trader.body(contract, entry={"type": "limit", "limit_price": far})
    body["sl_price"] = str(round(Decimal(far) / 2, 1))
    trade = trader.place(body)
    assert (trade["status"], trade["protection"]) == ("OPEN", "PENDING")
    trader.ok("POST", f"/api/trades/{trade['id']}/close", {"version": trade["version"]}, key=uuid.uuid4().hex)
    closed = trader.closed(trade["id"])
    assert (closed["close_reason"], closed["filled_qty"], closed["realized_pnl"]) == ("CANCELLED", 0, None)
    assert nothing_works(simulator, trade["account_id"])


def test_it_ends_with_nobody_looking(stack: Stack, simulator: Simulator) -> None:
    with Trader(stack.gateway_url) as trader:
        trade = trader.protected(trader.place(trader.body(trader.contract("IWM", 0)))["id"])
        trader.ok("POST", "/api/auth/logout")
    simulator.price(trade["occ_symbol"], trade["tp_price"])
    with Trader(stack.gateway_url, trader.name).back() as back:
        assert back.closed(trade["id"])["close_reason"] == "TP_HIT"
        assert nothing_works(simulator, trade["account_id"])
        assert back.eventually(lambda: {"order_filled", "trade_closed"} <= told(back), 10), told(back)


def told(trader: Trader) -> set[str]:
    inbox = trader.ok("GET", "/api/notifications/trades?unread_only=true")["notifications"]
    return {line["data"]["type"] for line in inbox}


def test_the_same_key_buys_once(trader: Trader, simulator: Simulator) -> None:
    body, key = trader.body(trader.contract("DIA", 0)), uuid.uuid4().hex
    first = trader.place(body, key)
    again = trader.call("POST", "/api/trades", body, key=key)
    assert again.json()["id"] == first["id"]
    assert again.headers["Idempotent-Replayed"] == "true"
    other = trader.call("POST", "/api/trades", {**body, "qty": 2}, key=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")
    entries = [o for o in simulator.legs(first["account_id"]) if o["side"] == "buy_to_open"]
    assert len(entries) == 1


def test_prices_move_while_it_is_held(trader: Trader, simulator: Simulator) -> None:
    trade = trader.protected(trader.place(trader.body(trader.contract("XLE", 0)))["id"])
    above = str(Decimal(trade["entry_price"]) + Decimal("0.05"))
    with trader.listening() as heard:
        simulator.price(trade["occ_symbol"], above)
        seen = trader.until(
            trade["id"], lambda t: t["current_price"] and Decimal(t["current_price"]) == Decimal(above), 20
        )
        assert Decimal(seen["unrealized_pnl"]) == Decimal("5.00")
        assert Decimal(seen["max_gain"]) >= Decimal("5.00")
        assert trader.eventually(lambda: any(frame["event"] == "prices" for frame in heard), 10)
    path = f"/api/trades/{trade['id']}/snapshots"
    assert trader.eventually(lambda: trader.ok("GET", path)["points"], 20)
    points = trader.ok("GET", path)["points"]
    assert points[-1]["source"] == "orats"
