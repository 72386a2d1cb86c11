"""Two processes of orders: one stands still, one dies, the bus is away; what was asked happens once or never."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

import asyncpg
import httpx
import pytest

from tests.faults.outage import away, state_of
from tests.journey.conftest import QUICK
from tests.journey.stack import Simulator, Stack
from tests.journey.trader import Json, Trader, eventually

pytestmark = pytest.mark.faults

SEND_BY_S = 1.5
STILL_S = 3.0
REPLICAS = ("orders", "orders-2")
WAITS = json.dumps({"send_by_s": SEND_BY_S, "look_gap_entry_s": 4})
TICKERS = ("SPY", "QQQ", "IWM", "DIA", "AAPL", "MSFT", "NVDA", "META")
BACK_S = 60.0
NOTED_S = 0.5
"""How much later than it left a request may be noted on a busy machine."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Run a stack with two processes of orders."""
    data: Path = tmp_path_factory.mktemp("paused") / "data"
    environment = {**QUICK, "ORDER_WAITS": WAITS, "RECOVERY_S": "2"}
    running = Stack(data, options=("--replicas", "orders=2"), environment=environment).up()
    try:
        yield running
    finally:
        running.down()


@pytest.fixture
def trader(stack: Stack) -> Iterator[Trader]:
    assert eventually(stack.is_ready, BACK_S)
    with Trader(stack.gateway_url) as somebody:
        yield somebody


@contextmanager
def standing_still(stack: Stack, *parts: str) -> Iterator[None]:
    """Stop processes where they stand, inside the block."""
    pids = [int(state_of(stack)["parts"][part]["pid"]) for part in parts]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def passed(seconds: float) -> bool:
    """Let time pass."""
    ends = time.monotonic() + seconds
    return eventually(lambda: time.monotonic() > ends, seconds + 5)


def place_all(trader: Trader, bodies: dict[str, Json]) -> list[threading.Thread]:
    """Ask for every trade at once; who gets no answer asks again later with the same key."""

    def ask(key: str, body: Json) -> None:
        with suppress(httpx.HTTPError):
            trader.call("POST", "/api/trades", body, key=key)

    threads = [threading.Thread(target=ask, args=item) for item in bodies.items()]
    for thread in threads:
        thread.start()
    return threads


def posted(simulator: Simulator, account: str) -> dict[str, list[datetime]]:
    """Return when each tag was posted at the broker."""
    found: dict[str, list[datetime]] = {}
    for one in simulator.requests(account=account, method="POST"):
        if one["tag"]:
            found.setdefault(one["tag"], []).append(datetime.fromisoformat(one["time"]))
    return found


async def _entries(url: str, user: str) -> dict[str, datetime]:
    connection = await asyncpg.connect(url)
    try:
        sql = "select tag, send_by from orders.broker_orders where username = $1 and role = 'ENTRY'"
        return {row["tag"]: row["send_by"] for row in await connection.fetch(sql, user)}
    finally:
        await connection.close()


def truth_of(trader: Trader, key: str, body: Json) -> Json:
    """Ask again with the key until there is a clear answer, and return the trade it is about."""
    found: list[str] = []

    def is_clear() -> bool:
        answer = trader.call("POST", "/api/trades", body, key=key)
        told = answer.json()
        found[:] = [one for one in (told.get("trade_id") or told.get("id"),) if one]
        return bool(found)

    assert eventually(is_clear, BACK_S)
    return trader.until(found[0], is_settled, BACK_S)


def is_settled(trade: Json) -> bool:
    """Say whether a trade is held with its exits, or over."""
    return bool(trade["status"] == "CLOSED" or (trade["status"], trade["protection"]) == ("FILLED", "PROTECTED"))


@pytest.mark.parametrize("parts", [REPLICAS, REPLICAS[:1]], ids=["both", "one"])
def test_entries_whose_processes_stood_still_past_their_time_are_not_sent(
    stack: Stack, simulator: Simulator, trader: Trader, parts: tuple[str, ...]
) -> None:
    account = trader.ok("GET", "/api/settings")["account_id"]
    bodies = {uuid.uuid4().hex: trader.body(trader.contract(ticker, 2)) for ticker in TICKERS}
    threads = place_all(trader, bodies)
    # Some are sent by now, some are stored and not sent, some have not arrived.
    assert eventually(lambda: bool(posted(simulator, account)), 10)
    with standing_still(stack, *parts):
        assert passed(STILL_S)
    for thread in threads:
        thread.join(BACK_S)
    ends = [truth_of(trader, key, body) for key, body in bodies.items()]
    assert all(trade["protection"] == "PROTECTED" or not trade["filled_qty"] for trade in ends)
    times, limits = posted(simulator, account), asyncio.run(_entries(stack.status()["database_url"], trader.name))
    assert [tag for tag, at in times.items() if len(at) > 1] == []
    late = {tag: (times[tag][0] - limit).total_seconds() for tag, limit in limits.items() if tag in times}
    assert max(late.values()) < NOTED_S, late
    assert len([order for order in simulator.orders(account) if order["class"] == "option"]) == sum(
        trade["filled_qty"] for trade in ends
    )


def closing(trader: Trader, trade: Json) -> tuple[threading.Thread, str]:
    """Ask for a close from another thread; returns it with the key."""
    key, body = uuid.uuid4().hex, {"version": trade["version"]}

    def ask() -> None:
        with suppress(httpx.HTTPError):
            trader.call("POST", f"/api/trades/{trade['id']}/close", body, key=key)

    thread = threading.Thread(target=ask)
    thread.start()
    return thread, key


def sales(simulator: Simulator, account: str) -> list[Json]:
    """List the market sells at the broker."""
    return [one for one in simulator.legs(account) if (one["type"], one["side"]) == ("market", "sell_to_close")]


@pytest.mark.parametrize("part", REPLICAS)
def test_a_close_whose_process_is_killed_is_ended_by_the_other_one(
    stack: Stack, simulator: Simulator, trader: Trader, part: str
) -> None:
    trade = trader.protected(trader.place(trader.body(trader.contract("SPY", 3)))["id"], 30)
    simulator.fault("slow", method="DELETE", path=r"/orders/\d+$", delay_ms=1500)
    thread, key = closing(trader, trade)
    assert eventually(lambda: bool(simulator.requests(account=trade["account_id"], method="DELETE")), 10)
    os.kill(int(state_of(stack)["parts"][part]["pid"]), signal.SIGKILL)
    thread.join(BACK_S)
    assert trader.closed(trade["id"], BACK_S)["close_reason"] == "MANUAL_CLOSE"
    assert len(sales(simulator, trade["account_id"])) == 1
    body = {"version": trade["version"]}
    told = trader.insist("POST", f"/api/trades/{trade['id']}/close", body, key=key)
    assert (told["id"], told["status"]) == (trade["id"], "CLOSED")


def test_a_close_goes_on_while_the_bus_is_away(stack: Stack, simulator: Simulator, trader: Trader) -> None:
    trade = trader.protected(trader.place(trader.body(trader.contract("QQQ", 3)))["id"], 30)
    account = trade["account_id"]
    simulator.fault("slow", method="DELETE", path=r"/orders/\d+$", delay_ms=1500)
    thread, key = closing(trader, trade)
    assert eventually(lambda: bool(simulator.requests(account=account, method="DELETE")), 10)
    with away(stack, "nats"):
        assert eventually(lambda: [one["status"] for one in sales(simulator, account)] == ["filled"], 20)
    thread.join(BACK_S)
    assert trader.closed(trade["id"], BACK_S)["close_reason"] == "MANUAL_CLOSE"
    assert len(sales(simulator, account)) == 1
    told = trader.insist("POST", f"/api/trades/{trade['id']}/close", {"version": trade["version"]}, key=key)
    assert told["status"] == "CLOSED"
