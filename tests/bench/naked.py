"""How long what was bought is held without the exits it asked for: after a market entry, and with its exits sent along.

The broker answers after 20 ms. Filled and resting are its own times: an order is taken in a latency after it came.
"""

from __future__ import annotations

import asyncio
import uuid
from datetime import datetime

from tests.bench.actions import LATENCY_MS, slow
from tests.bench.client import Client
from tests.bench.report import Line, Report, percentile
from tests.journey.stack import Simulator, Stack
from tests.journey.trader import Json, Trader

MARKET, GROUPS = 20, 6
WANTED_MS = 100
BOUND = 12.0
"""In broker's round trips: two of them lie between a fill and its exits, the rest is ours."""


async def measure(stack: Stack, report: Report) -> None:
    """Place market entries, then limit entries that fill at once and completely with their exits."""
    with Trader(stack.gateway_url) as trader, stack.simulator() as world, slow(world):
        exposed = [await _exposed_ms(world, trader, trader.contract(nth=nth)) for nth in range(MARKET)]
        trader.ok("PUT", "/api/settings", {"otoco": "limit_entries"})
        groups = [await _grouped_ms(trader, trader.contract("QQQ", nth)) for nth in range(GROUPS)]
        trip = percentile(await _trips_ms(world), 0.5)
    report.add(Line("naked: market entry filled to exits resting, p50", percentile(exposed, 0.5), "ms", trip,
                    "one of the broker's round trips", f"<= {trip + WANTED_MS:.0f} ms", BOUND))  # fmt: skip
    report.add(Line("naked: entry sent with its exits, filled at once, most", max(groups), "ms", target="0 ms"))


async def _exposed_ms(world: Simulator, trader: Trader, contract: Json) -> float:
    """Place, and return how long the entry was filled before its exits rested."""
    placed = await asyncio.to_thread(trader.place, trader.body(contract))
    await asyncio.to_thread(trader.protected, placed["id"])
    path = f"/v1/accounts/{placed['account_id']}/orders"
    came = [datetime.fromisoformat(one["time"]) for one in world.requests()
            if one["method"] == "POST" and one["path"] == path]  # fmt: skip
    return 1000 * (came[-1] - came[-2]).total_seconds()


async def _grouped_ms(trader: Trader, contract: Json) -> float:
    """Place a limit entry that the market takes whole, and return what it was without exits by our own count."""
    entry = {"type": "limit", "limit_price": contract["ask"]}
    placed = await asyncio.to_thread(trader.place, trader.body(contract, entry=entry))
    trade = await asyncio.to_thread(trader.protected, placed["id"])
    return 1000 * float(trade["naked_s"])


async def _trips_ms(world: Simulator) -> list[float]:
    token = f"bench-{uuid.uuid4().int % 10**8:08d}"
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
    async with Client(str(world._http.base_url), headers) as bare:
        return await bare.times_ms("/v1/markets/clock", LATENCY_MS)
