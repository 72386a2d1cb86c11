"""A broker whose lists cannot be right: for as long as it goes on nothing is closed, cancelled or sent by them.

By hand for five minutes at the waits of production: `LISTS_S=300 REAL_WAITS=1 pytest tests/faults/test_wrong_lists.py`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal

import pytest

from tests.faults.outage import turns
from tests.journey.stack import Simulator, Stack
from tests.journey.trader import Json, Trader, eventually

pytestmark = pytest.mark.faults

LISTS_S = float(os.environ.get("LISTS_S", "12"))
ALWAYS = 1_000_000
SEEN_S = 90
ORDERS, POSITIONS = "/accounts/[^/]+/orders$", "/positions$"
STALE = "orders as they were before"
WRONG = {
    "no orders": ("empty_list", ORDERS),
    STALE: ("stale_list", ORDERS),
    "half of the orders": ("half_page", ORDERS),
    "no positions": ("empty_list", POSITIONS),
}
"""What the lists of one person's account are like: the fault, and the requests it meets."""


@dataclass(frozen=True)
class Book:
    """One person with a protected holding and an entry that waits."""

    trader: Trader
    account: str
    held: Json
    waiting: Json

    def is_as_it_was(self) -> bool:
        """Say whether both trades are where they were."""
        held, waiting = self.trader.trade(self.held["id"]), self.trader.trade(self.waiting["id"])
        found = (held["status"], held["protection"], waiting["status"], waiting["version"])
        return found == ("FILLED", "PROTECTED", "OPEN", self.waiting["version"])

    def is_doubted(self) -> bool:
        """Say whether its user is told that the view is not believed."""
        told = [one for one in self.trader.ok("GET", "/api/incidents")["incidents"] if one["kind"] == "doubtful"]
        return any(one["ended_at"] is None for one in told)

    def look_till_doubted(self) -> None:
        """Ask for a look that nobody need wait a minute for."""
        if not self.is_doubted():
            self.trader.ok("POST", "/api/sync")

    def is_believed_again(self) -> bool:
        """Say whether its user is told that it is."""
        return not self.is_doubted()

    def writes(self, simulator: Simulator) -> list[tuple[str, str]]:
        """List what the broker was asked to change."""
        asked = [(one["method"], one["path"]) for one in simulator.requests(account=self.account)]
        return [(method, path) for method, path in asked if method != "GET" and "/orders" in path]


def placed(trader: Trader, nth: int, before_holding: Callable[[str], None]) -> Book:
    """Let an entry wait, and hold something under its exits."""
    contract = trader.contract("QQQ", nth)
    low = str(round(Decimal(contract["bid"]) * Decimal("0.8"), 1))
    body = trader.body(contract, entry={"type": "limit", "limit_price": low}, sl_price=None, tp_price=None)
    waiting = trader.place(body)
    before_holding(waiting["account_id"])
    held = trader.protected(trader.place(trader.body(trader.contract("SPY", nth)))["id"], 30)
    return Book(trader, held["account_id"], held, trader.trade(waiting["id"]))


def is_listed(simulator: Simulator, account: str) -> bool:
    """Say whether the list was read since the last write, so that it shows it."""
    asked = [(one["method"], one["path"].endswith("/orders")) for one in simulator.requests(account=account)]
    return ("GET", True) in asked[asked.index(("POST", True)) :]


def test_lists_that_cannot_be_right_close_nothing_and_cancel_nothing_for_as_long_as_they_last(
    stack: Stack, simulator: Simulator
) -> None:
    def goes_wrong(name: str, account: str) -> None:
        kind, path = WRONG[name]
        simulator.fault(kind, method="GET", path=path, account=account, times=ALWAYS)

    def goes_stale(account: str) -> None:
        assert eventually(lambda: is_listed(simulator, account), SEEN_S)
        goes_wrong(STALE, account)

    def stays(_: str) -> None:
        """Show the list as it is."""

    with ExitStack() as opened:
        found = {}
        for nth, name in enumerate(WRONG):
            trader = opened.enter_context(Trader(stack.gateway_url))
            found[name] = placed(trader, nth, goes_stale if name == STALE else stays)
        before = {name: book.writes(simulator) for name, book in found.items()}
        try:
            for name, book in found.items():
                if name != STALE:
                    goes_wrong(name, book.account)
            for _ in turns(LISTS_S):
                for book in found.values():
                    book.look_till_doubted()
                assert [name for name, book in found.items() if not book.is_as_it_was()] == []
            for name, book in found.items():
                assert eventually(book.is_doubted, SEEN_S), name
                assert book.writes(simulator) == before[name], name
        finally:
            simulator.clear_faults()
        for name, book in found.items():
            assert eventually(book.is_believed_again, SEEN_S), name
            assert book.is_as_it_was(), name
            assert book.writes(simulator) == before[name], name
