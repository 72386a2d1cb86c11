"""Each process killed between each two steps of the journey: it ends correctly every time."""

from __future__ import annotations

import uuid
from decimal import Decimal

import httpx
import pytest

from tests.journey.stack import Simulator, Stack
from tests.journey.trader import Trader, eventually

pytestmark = pytest.mark.faults

VICTIMS = ("gateway", "orders", "pricing", "monitor", "forensics", "postgres", "nats")
TICKER = dict(zip(VICTIMS, ("SPY", "QQQ", "IWM", "DIA", "AAPL", "MSFT", "NVDA"), strict=True))


@pytest.mark.parametrize("victim", VICTIMS)
def test_a_trade_ends_correctly_however_often_one_process_dies(victim: str, stack: Stack, simulator: Simulator) -> None:
    assert eventually(stack.is_ready, 60)
    with Trader(stack.gateway_url) as trader:
        body = trader.body(trader.contract(TICKER[victim]))
        stack.kill(victim)
        placed = trader.insist("POST", "/api/trades", body, key=uuid.uuid4().hex)
        stack.kill(victim)
        trade = trader.protected(placed["id"], 60)
        stack.kill(victim)
        new_tp = str(Decimal(trade["tp_price"]) + Decimal("0.50"))
        change = {"version": trade["version"], "new_tp": new_tp}
        trader.insist("POST", f"/api/trades/{trade['id']}/adjust", change, key=uuid.uuid4().hex)
        stack.kill(victim)
        trade = trader.until(
            trade["id"], lambda t: Decimal(t["tp_price"]) == Decimal(new_tp) and t["protection"] == "PROTECTED", 60
        )
        simulator.price(trade["occ_symbol"], trade["tp_price"])
        stack.kill(victim)
        closed = trader.closed(trade["id"], 60)
        account = trade["account_id"]
        assert closed["close_reason"] == "TP_HIT"
        assert (
            Decimal(closed["realized_pnl"]) == (Decimal(closed["close_price"]) - Decimal(closed["entry_price"])) * 100
        )
        assert eventually(lambda: simulator.working(account) == [], 20)
        one_order_per_intent(simulator, account)
        assert eventually(lambda: "trade_closed" in told(trader), 60)


def one_order_per_intent(simulator: Simulator, account: str) -> None:
    """Hold that no tag stands at the broker twice, that one entry was bought and as much sold."""
    orders = simulator.orders(account)
    tags = [order["tag"] for order in orders if order["tag"]]
    assert len(tags) == len(set(tags))
    legs = simulator.legs(account)
    bought = sum(Decimal(str(leg["exec_quantity"])) for leg in legs if leg["side"] == "buy_to_open")
    sold = sum(Decimal(str(leg["exec_quantity"])) for leg in legs if leg["side"] == "sell_to_close")
    assert bought == sold == 1
    assert sum(leg["side"] == "buy_to_open" for leg in legs) == 1


def told(trader: Trader) -> set[str]:
    """Read which kinds of notification the inbox holds."""
    answer = trader.call("GET", "/api/notifications/trades?limit=100")
    return {line["data"]["type"] for line in answer.json()["notifications"]} if answer.is_success else set()


def test_the_simulator_dies_too_and_remembers(stack: Stack, simulator: Simulator) -> None:
    with Trader(stack.gateway_url) as trader:
        trade = trader.protected(trader.place(trader.body(trader.contract("META")))["id"])
        stack.kill("simulator")
        assert eventually(lambda: len(simulator.working(trade["account_id"])) == 2, 30)
        simulator.price(trade["occ_symbol"], trade["sl_price"])
        assert trader.closed(trade["id"], 30)["close_reason"] == "SL_HIT"


def test_a_dead_service_is_counted_and_back_within_seconds(stack: Stack) -> None:
    before = stack.status()["services"]["forensics"]
    stack.kill("forensics")
    assert eventually(lambda: stack.status()["services"]["forensics"]["restarts"] == before["restarts"] + 1, 10)
    assert eventually(lambda: bool(stack.status()["services"]["forensics"]["ready"]), 20)


def test_everything_goes_on_after_down_and_up_in_the_middle(stack: Stack) -> None:
    with Trader(stack.gateway_url) as trader:
        trade = trader.protected(trader.place(trader.body(trader.contract("GOOGL")))["id"])
        stack.down()
        assert stack.pids() == []
        with pytest.raises(httpx.TransportError):
            trader.http.get("/livez")
        stack.up()
        with stack.simulator() as world:
            assert len(world.working(trade["account_id"])) == 2
            assert trader.trade(trade["id"])["protection"] == "PROTECTED"
            world.price(trade["occ_symbol"], trade["tp_price"])
            assert trader.closed(trade["id"], 30)["close_reason"] == "TP_HIT"
