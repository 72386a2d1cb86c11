"""NATS and PostgreSQL die while people trade: one order per intent, nothing naked, and the money is the broker's."""

from __future__ import annotations

import threading
import time
import uuid
from contextlib import ExitStack
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.faults.books import balanced_books
from tests.faults.outage import turns
from tests.journey.stack import Simulator, Stack
from tests.journey.trader import Json, Trader, eventually

pytestmark = pytest.mark.faults

TICKERS = ("SPY", "QQQ", "IWM", "DIA", "AAPL")
LOAD_S = 20.0
RESTARTS = {5.0: "nats", 12.0: "postgres"}
PATIENCE_S = 90.0

AGAIN = {502, 503, 504}
"""Answers after which the same request with the same key is sent again."""


@dataclass
class Busy:
    """Somebody who places and closes without pause, and insists on every request until its end is known."""

    trader: Trader
    body: Json
    intents: dict[str, str] = field(default_factory=dict)
    codes: list[int] = field(default_factory=list)
    failure: BaseException | None = None

    def trade_until(self, ends: float) -> None:
        """Trade; whatever is not as it must be is kept for the test."""
        try:
            while time.monotonic() < ends:
                self._round()
        except BaseException as error:  # noqa: BLE001 - the test that waits for this thread tells it
            self.failure = error

    def _round(self) -> None:
        key = uuid.uuid4().hex
        answer = self._insist("/api/trades", self.body, key)
        found = answer.json()
        assert answer.is_success or "trade_id" in found, answer.text
        trade_id = found["id"] if answer.is_success else found["trade_id"]
        self.intents[key] = trade_id
        # An entry whose way to the broker was cut is proven unplaced after a while, and over.
        held = self.trader.until(trade_id, lambda t: t["protection"] == "PROTECTED" or is_over(t), PATIENCE_S)
        self._close(held)
        self.trader.closed(trade_id, PATIENCE_S)

    def _close(self, held: Json) -> None:
        """Close, looking again as a person would when somebody learned something about the trade meanwhile."""
        refused: list[str] = []
        while not is_over(held):
            answer = self._insist(f"/api/trades/{held['id']}/close", {"version": held["version"]}, uuid.uuid4().hex)
            if answer.is_success:
                return
            refused.append(answer.text)
            assert answer.json()["code"] == "stale_version", refused
            assert len(refused) < 5, refused
            held = self.trader.until(held["id"], bool, PATIENCE_S)

    def _insist(self, path: str, body: Json, key: str) -> httpx.Response:
        """Send one request with one key until somebody answers it."""
        last: list[httpx.Response] = []

        def is_answered() -> bool:
            last[:] = [self.trader.call("POST", path, body, key=key)]
            self.codes.append(last[0].status_code)
            problem = {} if last[0].is_success else last[0].json()
            # A problem that names its trade is how that trade ended, and stays so.
            return "trade_id" in problem or (
                last[0].status_code not in AGAIN and problem.get("code") != "idempotency_in_progress"
            )

        assert eventually(is_answered, PATIENCE_S), f"{path} was never answered: {self.codes[-5:]}"
        return last[0]


def test_servers_that_die_under_load_leave_one_order_per_intent_and_the_brokers_money(
    stack: Stack, simulator: Simulator
) -> None:
    assert eventually(stack.is_ready, PATIENCE_S)
    with ExitStack() as present:
        people = [present.enter_context(Trader(stack.gateway_url)) for _ in TICKERS]
        trade_through_restarts(people, stack, simulator)
    balanced_books(stack)


def trade_through_restarts(people: list[Trader], stack: Stack, simulator: Simulator) -> None:
    busy = [Busy(one, one.body(one.contract(ticker))) for one, ticker in zip(people, TICKERS, strict=True)]
    began = time.monotonic()
    threads = [threading.Thread(target=one.trade_until, args=(began + LOAD_S,)) for one in busy]
    for thread in threads:
        thread.start()
    restarts = dict(RESTARTS)
    for _ in turns(LOAD_S):
        for at_s in [at_s for at_s in restarts if time.monotonic() - began >= at_s]:
            stack.kill(restarts.pop(at_s))
    for thread in threads:
        thread.join(3 * PATIENCE_S)
    failures = [str(one.failure) for one in busy if one.failure]
    assert not failures, "\n".join(failures)
    assert not restarts
    assert sum(len(one.intents) for one in busy) >= len(busy)
    assert 500 not in {code for one in busy for code in one.codes}
    money = {row["account"]: row for row in simulator.cash()}
    for one in busy:
        holds_for(one, simulator, money)


def holds_for(one: Busy, simulator: Simulator, money: dict[str, Any]) -> None:
    """Hold that everything one person did is at the broker once, over, and worth what the page says."""
    account = one.trader.ok("GET", "/api/settings")["account_id"]
    orders = simulator.orders(account)
    tags = [order["tag"] for order in orders if order["tag"]]
    assert len(tags) == len(set(tags))
    legs = simulator.legs(account)
    told = one.trader.ok("GET", "/api/trades/history?limit=200")["trades"]
    held = [trade for trade in told if trade["filled_qty"]]
    assert len([leg for leg in legs if leg["side"] == "buy_to_open"]) == len(held)
    bought, sold = (executed(legs, side) for side in ("buy_to_open", "sell_to_close"))
    assert bought == sold == len(held)
    assert simulator.working(account) == []
    assert {trade["id"] for trade in told} == set(one.intents.values())
    assert one.trader.ok("GET", "/api/trades?status=OPEN")["trades"] == []
    for key, trade_id in one.intents.items():
        again = one.trader.call("POST", "/api/trades", one.body, key=key).json()
        assert again.get("trade_id", again.get("id")) == trade_id, again
    earned = sum(Decimal(trade["realized_pnl"]) for trade in held)
    row = money[account]
    assert Decimal(str(row["cash"])) - Decimal(str(row["deposited"])) == earned


def is_over(trade: Json) -> bool:
    """Say whether a trade is closed."""
    return bool(trade["status"] == "CLOSED")


def executed(legs: list[Json], side: str) -> Decimal:
    """Count the contracts that changed hands on one side."""
    return sum((Decimal(str(leg["exec_quantity"])) for leg in legs if leg["side"] == side), Decimal(0))
