"""The snapshot cycle of 5,000 open trades over 500 tickers, with a vendor that takes 50 ms to answer."""

from __future__ import annotations

import asyncio
import resource
import time
from datetime import UTC, datetime

import asyncpg
import httpx

from services.pricing import store
from services.pricing.cycle import points, wishes
from services.pricing.feed import SOURCE
from tests.bench.pricing_house import pricing_on
from tests.bench.report import Line, Report
from tests.journey.stack import Stack

TRADES, TICKERS, LATENCY_MS = 5_000, 500, 50


async def measure(stack: Stack, report: Report) -> None:
    """Hold 5,000 contracts, quote them all once, store them."""
    status = stack.status()
    simulator = status["simulator_url"]
    admin = await asyncpg.connect(status["database_url"])
    await hold(admin, simulator)
    async with httpx.AsyncClient(base_url=simulator) as control:
        await control.post("/_control/toggles", json={"latency_ms": LATENCY_MS})
        try:
            await _measure(stack, simulator, control, report)
        finally:
            await control.post("/_control/toggles", json={"latency_ms": 0})
            await admin.execute("delete from pricing.holdings where username = 'bench'")
            await admin.close()


async def _measure(stack: Stack, simulator: str, control: httpx.AsyncClient, report: Report) -> None:
    async with pricing_on(stack, simulator) as (db, feed):
        started, cpu = time.perf_counter(), _cpu_s()
        async with db.for_worker() as unit:
            wanted = wishes(await store.contracts_in_use(unit))
        before = await _requests(control)
        answers = await feed.all_quotes(wanted)
        quoted = time.perf_counter()
        now = datetime.now(UTC)
        rows = [point for found in answers for point in points(found, taken_at=now, tag=None, source=SOURCE)]
        read = time.perf_counter()
        async with db.for_worker() as unit:
            stored = await store.append_points(unit, rows)
        ended = time.perf_counter()
        report.add(Line("cycle: ORATS requests", await _requests(control) - before, "", target="<= 500"))
        report.add(Line("cycle: contracts quoted and stored", stored, "", target=f"{TRADES}"))
        report.add(Line("cycle: all of it", ended - started, "s", target="<= 10 s"))
        report.add(Line("cycle: our CPU time", _cpu_s() - cpu, "s"))
        report.add(Line("cycle: database part (COPY)", ended - read, "s", target="<= 1.5 s"))
        floor = LATENCY_MS / 1000 * len(wanted) / feed.parallel
        what = "vendor's latency alone at the same parallelism"
        report.add(Line("cycle: quoting", quoted - started, "s", floor, what))


async def hold(admin: asyncpg.Connection, simulator: str) -> None:
    """Let `bench` hold ten contracts of each load ticker."""
    async with httpx.AsyncClient(base_url=simulator, timeout=30) as http:
        expirations = (await http.get("/datav2/live/expirations", params={"ticker": "S000", "token": "b"})).json()
        dates = sorted(row["expirDate"] if isinstance(row, dict) else row for row in expirations["data"])
        gate = asyncio.Semaphore(8)

        async def strikes(ticker: str) -> list[str]:
            query = {"ticker": ticker, "expiry": dates[3], "token": "b"}
            async with gate:
                rows = (await http.get("/datav2/live/strikes/monthly", params=query)).json()["data"]
            middle = len(rows) // 2
            day = dates[3].replace("-", "")[2:]
            return [f"{ticker}{day}C{int(row['strike'] * 1000):08d}" for row in rows[middle - 5 : middle + 5]]

        tickers = [f"S{number:03d}" for number in range(TICKERS)]
        contracts = await asyncio.gather(*(strikes(ticker) for ticker in tickers))
    records = [
        (f"bench-{occ}", "bench", ticker, occ, 1, 100, 1, datetime.now(UTC), None, 1)
        for ticker, listed in zip(tickers, contracts, strict=True)
        for occ in listed
    ]
    await admin.execute("delete from pricing.holdings where username = 'bench'")
    await admin.copy_records_to_table("holdings", schema_name="pricing", records=records)
    await admin.execute("analyze pricing.holdings")


async def _requests(control: httpx.AsyncClient) -> int:
    found = (await control.get("/_control/requests")).json()
    listed = next(iter(found.values())) if isinstance(found, dict) else found
    return sum("/datav2/live/strikes" in request["path"] for request in listed)


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
