"""Our own time in a placement, beside the broker's round trips that it waits for; and how long a fill is without exits.

The broker answers after 20 ms. The same requests, sent one after the other by a bare client, are the reference.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import orjson

from tests.bench.client import Client
from tests.bench.report import Line, Report, percentile
from tests.journey.stack import Simulator, Stack
from tests.journey.trader import Json, Trader

LATENCY_MS, TRADES, ACTIONS = 20, 24, 6
NUMBER = f"{uuid.uuid4().int % 10**8:08d}"
TOKEN, ACCOUNT = f"bench-{NUMBER}", f"VA{NUMBER}"
"""An account of the reference's own, new in each run: what it buys must be paid for."""
BARE_HEADERS = {"Authorization": f"Bearer {TOKEN}", "Accept": "application/json"}


async def measure(stack: Stack, report: Report) -> None:
    """Place, adjust and close, each beside the same requests sent bare."""
    with Trader(stack.gateway_url) as trader, stack.simulator() as world:
        contracts = [trader.contract(nth=nth) for nth in range(TRADES)]
        session = {"Cookie": f"bookend_session={trader.http.cookies['bookend_session']}", "X-Bookend": "1"}
        ours, bares, exposed, trades = [], [], [], []
        async with Client(stack.gateway_url, session) as client, Client(_url(world), BARE_HEADERS) as bare:
            with slow(world):
                for contract in contracts:
                    began = time.perf_counter()
                    placed = orjson.loads(await client.send(_post(client, "/api/trades", trader.body(contract))))
                    ours.append(1000 * (time.perf_counter() - began))
                    trades.append(await asyncio.to_thread(trader.protected, placed["id"]))
                    exposed.append(_exposed_ms(world, placed["account_id"]))
                    bares.append(await _bare_ms(bare, trades[-1]["occ_symbol"]))
                adjusts = [await _act(client, trader, trade, "adjust") for trade in trades[:ACTIONS]]
                closes = [await _act(client, trader, trade, "close") for trade in trades[ACTIONS : 2 * ACTIONS]]
    broker = percentile(bares, 0.5)
    what = "the same broker requests, sent bare"
    report.add(Line("placement: p50, the broker taking 20 ms a request", percentile(ours, 0.5), "ms", broker, what))
    report.add(Line("placement: our time on top", percentile(ours, 0.5) - broker, "ms", target="<= 25 ms"))
    trip, what = broker / 3, "one of the broker's round trips"
    report.add(Line("placement: entry filled to OCO resting", percentile(exposed, 0.5), "ms", trip, what,
                    f"<= {trip + 100:.0f} ms"))  # fmt: skip
    report.add(Line("placement: adjust, until the new exits rest", percentile(adjusts, 0.5), "ms", trip, what))
    report.add(Line("placement: close, until it is sold", percentile(closes, 0.5), "ms", trip, what))


@contextmanager
def slow(world: Simulator) -> Iterator[None]:
    """Let the broker take its time."""
    world._post("/_control/toggles", latency_ms=LATENCY_MS)
    try:
        yield
    finally:
        world._post("/_control/toggles", latency_ms=0)


def _exposed_ms(world: Simulator, account: str) -> float:
    """Return how long the last entry was filled before its exits rested, by the broker's clock.

    A market entry fills when it is taken in, and an OCO rests then: both a latency after they came.
    """
    path = f"/v1/accounts/{account}/orders"
    came = [datetime.fromisoformat(one["time"]) for one in world.requests()
            if one["method"] == "POST" and one["path"] == path]  # fmt: skip
    return 1000 * (came[-1] - came[-2]).total_seconds()


async def _bare_ms(client: Client, occ: str) -> float:
    """Send what a placement sends: quotes (the clock beside them), the order, a look at it."""
    order = {"class": "option", "symbol": "SPY", "option_symbol": occ, "side": "buy_to_open", "quantity": "1"}
    form = urlencode(order | {"type": "market", "duration": "day", "tag": f"bench-{uuid.uuid4().hex}"})
    kind = "application/x-www-form-urlencoded"
    began = time.perf_counter()
    await client.get(f"/v1/markets/quotes?symbols=SPY,{occ}&greeks=true")
    placed = orjson.loads(
        await client.send(_request(client, f"/v1/accounts/{ACCOUNT}/orders", form.encode(), kind, {}))
    )
    await client.get(f"/v1/accounts/{ACCOUNT}/orders/{placed['order']['id']}?includeTags=true")
    return 1000 * (time.perf_counter() - began)


async def _act(client: Client, trader: Trader, trade: Json, what: str) -> float:
    """Close, or adjust, a protected trade and wait for the end of it; returns how long that took."""
    trade = trader.trade(trade["id"])
    lower = {"new_sl": str(round(float(trade["sl_price"]) - 0.5, 1))} if what == "adjust" else {}
    path, began = f"/api/trades/{trade['id']}/{what}", time.perf_counter()
    answer = orjson.loads(await client.send(_post(client, path, {"version": trade["version"], **lower})))
    while not _is_over(answer, lower, what):
        answer = await asyncio.to_thread(trader.trade, trade["id"])
    return 1000 * (time.perf_counter() - began)


def _is_over(trade: Json, lower: Json, what: str) -> bool:
    if what == "close":
        return bool(trade["status"] == "CLOSED")
    return trade["protection"] == "PROTECTED" and float(trade["sl_price"]) == float(lower["new_sl"])


def _post(client: Client, path: str, body: Any) -> bytes:
    return _request(client, path, orjson.dumps(body), "application/json", {"Idempotency-Key": uuid.uuid4().hex})


def _request(client: Client, path: str, body: bytes, kind: str, headers: dict[str, str]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"POST {path} HTTP/1.1\r\n{client.lines}{lines}Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _url(world: Simulator) -> str:
    return str(world._http.base_url)
