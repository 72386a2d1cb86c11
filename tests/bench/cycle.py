"""The snapshot cycle of 5,000 open trades over 500 tickers, with a vendor that takes 50 ms to answer.

The running services do the cycle at their own time, watched from outside; then the database's part alone is done again.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
import httpx
import psutil

from libs.common.testing import eventually
from services.pricing import store
from services.pricing.cycle import POINT_COLUMNS
from tests.bench import trade_rows
from tests.bench.pricing_house import pricing_on
from tests.bench.report import Line, Report
from tests.journey.stack import Stack

TICKERS, EACH, LATENCY_MS = 500, 10, 50
TRADES = TICKERS * EACH
NEXT_CYCLE_S = 90.0
PARTS = ("pricing", "orders", "simulator")
PARALLEL = 16
"""The default of ORATS_PARALLEL."""
_THEIRS = "where occ_symbol ~ '^S[0-9]{9}'"


async def measure(stack: Stack, report: Report) -> None:
    """Hold 5,000 contracts and watch the next cycle quote, store and say them, and orders apply them."""
    status = stack.status()
    admin = await asyncpg.connect(status["database_url"])
    async with httpx.AsyncClient(base_url=status["simulator_url"], timeout=30) as world:
        try:
            held = await _listed(world)
            await world.post("/_control/toggles", json={"latency_ms": LATENCY_MS})
            parts = {
                name: psutil.Process(status["services"][name]["pid"]) for name in ("pricing", "orders", "simulator")
            }
            before = {name: _cpu_s(part) for name, part in parts.items()}
            done = await _watched(admin, world, held)
            used = {name: _cpu_s(part) - before[name] for name, part in parts.items()}
            _tell(report, done, used)
            report.add(
                Line("cycle: database part (read, COPY)", await _database_s(stack, admin), "s", target="<= 1.5 s")
            )
        finally:
            await world.post("/_control/toggles", json={"latency_ms": 0})
            await admin.execute("delete from pricing.holdings where username = $1", trade_rows.user(0))
            await admin.execute(f"delete from pricing.price_snapshots {_THEIRS}")
            await trade_rows.clear(admin)
            await admin.close()


@dataclass(frozen=True)
class Cycle:
    """What one cycle looked like from outside. Units: seconds since its first request reached the vendor."""

    requests: int
    stored: int
    quoted_s: float
    stored_s: float
    applied_s: float


def _tell(report: Report, done: Cycle, used: dict[str, float]) -> None:
    report.add(Line("cycle: ORATS requests", done.requests, "", target=f"<= {TICKERS}"))
    report.add(Line("cycle: contracts stored", done.stored, "", target=f"{TRADES}"))
    floor, what = LATENCY_MS / 1000 * TICKERS / PARALLEL, f"the vendor's 50 ms alone, {PARALLEL} at once"
    report.add(Line("cycle: first request to last", done.quoted_s, "s", floor, what))
    report.add(Line("cycle: first request to everything stored", done.stored_s, "s", floor, what, "<= 10 s"))
    report.add(Line("cycle: … to all 5,000 trades marked in orders", done.applied_s, "s", floor, what))
    for name, cpu_s in used.items():
        report.add(Line(f"cycle: CPU time of {name}", cpu_s, "s"))


async def _watched(admin: asyncpg.Connection, world: httpx.AsyncClient, held: list[tuple[str, str]]) -> Cycle:
    begins: datetime = await admin.fetchval("select clock_timestamp()")
    await trade_rows.hold(admin, held)
    stored = 0

    async def all_stored() -> bool:
        nonlocal stored
        stored = await admin.fetchval(
            f"select count(*) from pricing.price_snapshots {_THEIRS} and taken_at > $1", begins
        )
        return bool(stored >= TRADES)

    async def all_applied() -> bool:
        left = await admin.fetchval(
            "select count(*) from orders.marks where username = $1 and current_price is null", trade_rows.user(0)
        )
        return bool(left == 0)

    await eventually(all_stored, within_s=NEXT_CYCLE_S, every_s=0.05)
    stored_at = time.time()
    await eventually(all_applied, within_s=30, every_s=0.05)
    applied_at = time.time()
    came = [moment for moment in await _requests(world) if moment > begins]
    first = came[0].timestamp()
    return Cycle(len(came), stored, came[-1].timestamp() - first, stored_at - first, applied_at - first)


async def _database_s(stack: Stack, admin: asyncpg.Connection) -> float:
    """Do what a cycle asks of PostgreSQL with the rows that the last one stored."""
    rows = await admin.fetch(
        f"select {', '.join(POINT_COLUMNS)} from pricing.price_snapshots where occ_symbol ~ '^S[0-9]{{9}}' limit $1",
        TRADES,
    )
    async with pricing_on(stack) as db:
        began = time.perf_counter()
        async with db.for_worker() as unit:
            await store.contracts_in_use(unit)
        async with db.for_worker() as unit:
            await unit.copy_in("price_snapshots", POINT_COLUMNS, [tuple(row) for row in rows])
        return time.perf_counter() - began


async def _listed(world: httpx.AsyncClient) -> list[tuple[str, str]]:
    """Choose ten contracts of each load ticker."""
    found: dict[str, Any] = (
        await world.get("/datav2/live/expirations", params={"ticker": "S000", "token": "b"})
    ).json()
    expiry = sorted(row["expirDate"] if isinstance(row, dict) else row for row in found["data"])[3]
    gate = asyncio.Semaphore(8)

    async def strikes(ticker: str) -> list[tuple[str, str]]:
        query = {"ticker": ticker, "expiry": expiry, "token": "b"}
        async with gate:
            rows = (await world.get("/datav2/live/strikes/monthly", params=query)).json()["data"]
        middle, day = len(rows) // 2, expiry.replace("-", "")[2:]
        near = rows[middle - EACH // 2 : middle + EACH // 2]
        return [(ticker, f"{ticker}{day}C{round(row['strike'] * 1000):08d}") for row in near]

    each = await asyncio.gather(*(strikes(f"S{number:03d}") for number in range(TICKERS)))
    return [contract for contracts in each for contract in contracts]


async def _requests(world: httpx.AsyncClient) -> list[datetime]:
    found = (await world.get("/_control/requests")).json()
    rows = found if isinstance(found, list) else next(iter(found.values()))
    return [datetime.fromisoformat(row["time"]) for row in rows if row["path"].startswith("/datav2/live/strikes")]


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
